// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AuditDesk} from "./trial/AuditDesk.sol";

/// @title TrainingCourt
/// @notice Whether an update was trained as assigned is judged by doing one step of it again; docs/protocol.md
/// section 9. The court has no owner and no settings, and serves every run that names it.
contract TrainingCourt is AuditDesk {}
