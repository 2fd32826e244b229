// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// Anchors of a consortium's transparency logs: digests of result commitments, and checkpoints.
///
/// Append only: nothing here deletes or overwrites. A digest is anchored once, and anchoring it again does nothing,
/// so that one commitment is one event however often it is sent. The checkpoints of a log only grow, and one size
/// has one root: an operator that forks its log cannot anchor both branches.
///
/// Needs no precompile and no opcode younger than Paris.
contract AnchorLog {
    /// A result commitment, anchored for the first time.
    event CommitmentAnchored(bytes32 indexed commitment);
    /// A checkpoint, larger than those before it.
    event CheckpointAnchored(bytes32 indexed log, uint64 size, bytes32 root);
    /// Who may anchor has changed.
    event AnchorerChanged(address indexed anchorer);

    /// Not the address that may do this.
    error NotAuthorised(address caller);
    /// The zero digest anchors nothing.
    error ZeroDigest();
    /// The log has a checkpoint of this size with another root.
    error Forked(bytes32 log, uint64 size, bytes32 root);
    /// The log has a larger checkpoint.
    error Shrunk(bytes32 log, uint64 size, uint64 anchoredSize);

    struct Head {
        uint64 size;
        uint64 blockNumber;
    }

    /// May name the anchorer, and do nothing else: the hospitals' multi-signature wallet, not the engine.
    address public immutable admin;
    /// May anchor: the engine's key.
    address public anchorer;
    /// The block in which a commitment was anchored; 0 when it was not.
    mapping(bytes32 commitment => uint256 blockNumber) public anchoredIn;
    /// The largest checkpoint of a log.
    mapping(bytes32 log => Head) public heads;
    /// Root by log and size; 0 when no checkpoint of that size was anchored.
    mapping(bytes32 log => mapping(uint64 size => bytes32 root)) public roots;

    constructor(address admin_, address anchorer_) {
        admin = admin_;
        anchorer = anchorer_;
        emit AnchorerChanged(anchorer_);
    }

    /// Names the address that may anchor; the zero address stops anchoring.
    function setAnchorer(address anchorer_) external {
        if (msg.sender != admin) revert NotAuthorised(msg.sender);
        anchorer = anchorer_;
        emit AnchorerChanged(anchorer_);
    }

    /// Anchors digests of result commitments; those that are anchored already are passed over.
    function anchorCommitments(bytes32[] calldata commitments) external {
        if (msg.sender != anchorer) revert NotAuthorised(msg.sender);
        for (uint256 i = 0; i < commitments.length; ++i) {
            bytes32 commitment = commitments[i];
            if (commitment == 0) revert ZeroDigest();
            if (anchoredIn[commitment] == 0) {
                anchoredIn[commitment] = block.number;
                emit CommitmentAnchored(commitment);
            }
        }
    }

    /// The blocks in which commitments were anchored; 0 for those that were not.
    function blocksOf(bytes32[] calldata commitments) external view returns (uint256[] memory blocks) {
        blocks = new uint256[](commitments.length);
        for (uint256 i = 0; i < commitments.length; ++i) {
            blocks[i] = anchoredIn[commitments[i]];
        }
    }

    /// Anchors the checkpoint of a log (named by a digest of its origin line): size in leaves, RFC 6962 root. The same checkpoint
    /// again does nothing.
    function anchorCheckpoint(bytes32 log, uint64 size, bytes32 root) external {
        if (msg.sender != anchorer) revert NotAuthorised(msg.sender);
        if (root == 0) revert ZeroDigest();
        bytes32 present = roots[log][size];
        if (present == root) return;
        if (present != 0) revert Forked(log, size, present);
        Head storage head = heads[log];
        if (size <= head.size) revert Shrunk(log, size, head.size);
        head.size = size;
        head.blockNumber = uint64(block.number);
        roots[log][size] = root;
        emit CheckpointAnchored(log, size, root);
    }
}
