"""The training court, off chain: trials of updates, followed, moved on and ended.

`contract` speaks to the court, `history` folds its events, `clerk` sends, `moves` decides what is
overdue, `watch` looks. The roles, who audit, accuse, defend and judge, are a trainer's:
docs/protocol.md section 9.
"""
