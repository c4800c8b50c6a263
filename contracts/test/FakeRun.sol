// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title FakeRun
/// @notice A run that says what it was told to, and calls back where a real one would not. For tests only: no script
/// deploys it.
contract FakeRun {
    mapping(bytes4 selector => bytes data) private _answers;
    bytes4 private _trigger;
    address private _target;
    bytes private _payload;
    /// @notice What calling back returned; "0x01" in front if it succeeded.
    bytes public came;

    receive() external payable {}

    /// @notice Anything not set before is answered with nothing.
    // solhint-disable-next-line no-complex-fallback
    fallback() external payable {
        if (msg.sig == _trigger) {
            (bool ok, bytes memory data) = _target.call{value: msg.value}(_payload);
            came = bytes.concat(ok ? bytes1(0x01) : bytes1(0x00), data);
        }
        bytes memory answer = _answers[msg.sig];
        assembly ("memory-safe") {
            return(add(answer, 0x20), mload(answer))
        }
    }

    function setAnswer(bytes4 selector, bytes calldata data) external {
        _answers[selector] = data;
    }

    /// @notice Call `target` back as soon as `trigger` is called.
    function callBack(bytes4 trigger, address target, bytes calldata payload) external {
        (_trigger, _target, _payload) = (trigger, target, payload);
    }

    function forget() external {
        delete came;
    }
}
