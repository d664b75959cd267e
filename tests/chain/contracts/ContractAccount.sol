// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// A contract that owns agents and signs as ERC-1271 says. Its deployer's key is its key.
contract ContractAccount {
    address private immutable key = msg.sender;

    /// What `onERC721Received` saw of the agent that it was given.
    string public uriAtReceipt = "never called";

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError fault,) = ECDSA.tryRecover(hash, signature);
        bool valid = fault == ECDSA.RecoverError.NoError && signer == key;
        return valid ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    function onERC721Received(address, address, uint256 tokenId, bytes calldata) external returns (bytes4) {
        uriAtReceipt = IERC721Metadata(msg.sender).tokenURI(tokenId);
        return this.onERC721Received.selector;
    }
}
