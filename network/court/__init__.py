"""The merge court, off chain: a watcher that convicts wrong merges, a defender of right ones.

`contract` speaks to the court, `history` folds its events, `case` says what a proposal rests on,
`evidence` computes proofs, `moves` decides, `office` acts. Docs/protocol.md section 8.
"""
