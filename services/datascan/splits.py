"""Which half of the dataset each accepted file goes to.

A source that is for one half decides for its files. Of the others, all files of a group (those that
are somewhat alike) go together, by the smallest hash among their contents: the same files fall the
same way in every scan, whatever else is in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.cluster.project_records import SourceSplit
from services.datascan.verdict_rows import Split
from services.datascan.verdict_store import VerdictStore

_HASH_DIGITS = 8


def side(split: str, with_train: bool, with_test: bool, key: str, test_share: float) -> Split:
    """`with_train`, `with_test`: whether a file of the group is bound to that half."""
    if split != SourceSplit.AUTO:
        return Split.TRAIN if split == SourceSplit.TRAIN else Split.TEST
    if with_train or with_test:
        return Split.TRAIN if with_train else Split.TEST
    share = int(key[:_HASH_DIGITS], 16) / 16**_HASH_DIGITS
    return Split.TEST if share < test_share else Split.TRAIN


def assign_splits(
    verdicts: VerdictStore, splits: Mapping[str, SourceSplit], test_share: float
) -> None:
    """Writes the half of every accepted file; `splits` by source_id.

    When chance leaves a half empty, one group of the other half moves over, for a dataset without a
    test half tells nothing about what was learnt.
    """
    db = verdicts.database
    db.create_function("source_split", 1, lambda source_id: str(splits[source_id]))
    db.create_function("side", 5, lambda *given: int(side(*given)))
    db.execute("DROP TABLE IF EXISTS temp.groups")
    db.execute(
        "CREATE TEMP TABLE groups AS SELECT group_number, min(content_key) AS key,"
        " max(source_split(source_id) = 'train') AS with_train,"
        " max(source_split(source_id) = 'test') AS with_test"
        " FROM files WHERE accepted = 1 GROUP BY group_number"
    )
    db.execute("CREATE INDEX temp.groups_by_number ON groups (group_number)")
    db.execute("UPDATE files SET split = 0")
    db.execute(
        "UPDATE files SET split = (SELECT side(source_split(files.source_id), with_train,"
        " with_test, key, ?) FROM groups WHERE groups.group_number = files.group_number)"
        " WHERE accepted = 1",
        (test_share,),
    )
    if 0 < test_share < 1:
        _fill_empty_half(verdicts)
    verdicts.commit()


def _fill_empty_half(verdicts: VerdictStore) -> None:
    db = verdicts.database
    counts = dict(
        db.execute("SELECT split, count(*) FROM files WHERE accepted = 1 GROUP BY split").fetchall()
    )
    free = db.execute(
        "SELECT group_number FROM groups WHERE with_train = 0 AND with_test = 0 ORDER BY key"
    ).fetchall()
    if len(counts) != 1 or not free:
        return
    num_groups = db.execute("SELECT count(*) FROM groups").fetchone()[0]
    if num_groups < 2:
        return
    # The smallest hash is nearest to falling into test, the largest to falling into train.
    empty, moved = (Split.TEST, free[0]) if Split.TRAIN in counts else (Split.TRAIN, free[-1])
    db.execute(
        "UPDATE files SET split = ? WHERE accepted = 1 AND group_number = ?", (empty, moved[0])
    )
