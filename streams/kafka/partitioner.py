"""The owner partition of a key, computed as Java clients, aiokafka and Faust do (murmur2).

A producer may use another partitioner, so a record may be in another partition than its owner partition.
"""

from functools import lru_cache

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
MASK = 0xFFFFFFFF


def partition_for(key: bytes, n_partitions: int) -> int:
    """Return the owner partition of a key, in [0, n_partitions)."""
    return _positive_hash(key) % n_partitions


@lru_cache(maxsize=1 << 17)  # a user often rates many items in a row: 3 us the first time, 0.1 us after that
def _positive_hash(key: bytes) -> int:
    return murmur2(key) & 0x7FFFFFFF


def murmur2(key: bytes) -> int:
    """Hash bytes to an unsigned 32-bit integer.

    Source:
        ``org.apache.kafka.common.utils.Utils.murmur2``; its signed result has the same bits.
    """
    h = (SEED ^ len(key)) & MASK
    whole = len(key) & ~3
    for start in range(0, whole, 4):
        k = int.from_bytes(key[start : start + 4], "little") * MULTIPLIER & MASK
        h = (h * MULTIPLIER & MASK) ^ ((k ^ k >> 24) * MULTIPLIER & MASK)
    if whole < len(key):
        h = (h ^ int.from_bytes(key[whole:], "little")) * MULTIPLIER & MASK
    h = (h ^ h >> 13) * MULTIPLIER & MASK
    return h ^ h >> 15
