"""What blocks of shared objects remember, for this task only."""

import asyncio

from shared.resilience._blocks import enter_block, leave_block


def test_blocks_of_one_object_nest():
    owner = object()
    enter_block(owner, 1)
    enter_block(owner, 2)

    assert [leave_block(owner) for _ in range(3)] == [2, 1, None]


def test_blocks_may_be_left_in_any_order():
    a, b, c = object(), object(), object()
    for number, owner in enumerate((a, b, c)):
        enter_block(owner, number)

    assert [leave_block(owner) for owner in (b, a, c, b)] == [1, 0, 2, None]


async def test_tasks_do_not_see_each_others_blocks():
    owner = object()

    async def work(number):
        enter_block(owner, number)
        await asyncio.sleep(0)
        return leave_block(owner)

    assert await asyncio.gather(*(work(n) for n in range(5))) == [0, 1, 2, 3, 4]
    assert leave_block(owner) is None
