"""A tiny contract for tests of the machinery, assembled by hand so that no compiler is needed.

error TooBig(uint256 value, uint256 limit);
event Added(address indexed who, uint256 value);
function add(uint256 value)   // reverts above 100; counts the calls in slot 1
function count() view returns (uint256)
"""

from eth_utils.crypto import keccak

LIMIT = 100
ABI = [
    {"type": "function", "name": "add", "inputs": [{"name": "value", "type": "uint256"}],
     "outputs": [], "stateMutability": "nonpayable"},
    {"type": "function", "name": "count", "inputs": [],
     "outputs": [{"name": "", "type": "uint256"}], "stateMutability": "view"},
    {"type": "error", "name": "TooBig", "inputs": [
        {"name": "value", "type": "uint256"}, {"name": "limit", "type": "uint256"}]},
    {"type": "event", "name": "Added", "anonymous": False, "inputs": [
        {"name": "who", "type": "address", "indexed": True},
        {"name": "value", "type": "uint256", "indexed": False}]},
]  # fmt: skip

_OPS = {
    "STOP": 0x00, "ADD": 0x01, "LT": 0x10, "EQ": 0x14, "CALLER": 0x33, "CALLDATALOAD": 0x35,
    "CALLDATASIZE": 0x36, "CODECOPY": 0x39, "MSTORE": 0x52, "SLOAD": 0x54, "SSTORE": 0x55,
    "JUMPI": 0x57, "JUMPDEST": 0x5B, "LOG2": 0xA2, "RETURN": 0xF3, "REVERT": 0xFD,
}  # fmt: skip


def _assemble(text: str) -> bytes:
    """Words are operations, numbers (pushed), `name:` (a JUMPDEST) and `@name` (pushed)."""
    out, labels, holes = bytearray(), {}, []
    for word in text.split():
        if word.endswith(":"):
            labels[word[:-1]] = len(out)
            out.append(_OPS["JUMPDEST"])
        elif word.startswith("@"):
            holes.append((len(out) + 1, word[1:]))
            out += b"\x60\x00"
        elif word in _OPS:
            out.append(_OPS[word])
        else:
            raw = bytes.fromhex(word[2:]) if word.startswith("0x") else bytes([int(word)])
            out += bytes([0x5F + len(raw)]) + raw
    for place, name in holes:
        out[place] = labels[name]
    return bytes(out)


_TOPIC = keccak(text="Added(address,uint256)").hex()
_ERROR = keccak(text="TooBig(uint256,uint256)")[:4].hex() + "00" * 28

RUNTIME = _assemble(f"""
    4 CALLDATASIZE EQ @count JUMPI
    4 CALLDATALOAD {LIMIT} LT @toobig JUMPI
    1 SLOAD 1 ADD 1 SSTORE
    4 CALLDATALOAD 0 MSTORE
    CALLER 0x{_TOPIC} 32 0 LOG2 STOP
    count: 1 SLOAD 0 MSTORE 32 0 RETURN
    toobig: 0x{_ERROR} 0 MSTORE 4 CALLDATALOAD 4 MSTORE {LIMIT} 36 MSTORE 68 0 REVERT
""")
# Copies what follows its 12 bytes and returns it.
CREATION = (
    _assemble(f"{len(RUNTIME)} 12 0 CODECOPY {len(RUNTIME)} 0 RETURN").ljust(12, b"\x00") + RUNTIME
)
