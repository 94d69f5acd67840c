"""Processes with buyers: `buyers.py URL PROCESSES NUMBER`; prints how many of them got something.

One interpreter is started and forks before it has threads, so that the libraries are loaded once.
"""

import os
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

from shared.commerce import Inventory
from shared.database import Database, DatabaseOptions
from shared.errors import InsufficientStockError

PATIENT = DatabaseOptions(
    pool_size=5, pool_timeout=100, busy_timeout=60, connect_timeout=60, slow_query_seconds=60
)


def buy(stock, _number):
    try:
        kept = stock.reserve("ticket", 1)
    except InsufficientStockError:
        return 0
    stock.confirm(kept.id)
    return kept.quantity


def buyers(url, number):
    with Database(url, options=PATIENT) as db, ThreadPoolExecutor(5) as pool:
        stock = Inventory(db)
        return sum(pool.map(lambda n: buy(stock, n), range(number)))


def child(url, number, pipe):
    code = 1
    try:
        os.write(pipe, f"{buyers(url, number)}\n".encode())
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(url, processes, number):
    read, write = os.pipe()
    children = []
    for _ in range(processes):
        pid = os.fork()
        if pid == 0:
            child(url, number, write)
        children.append(pid)
    os.close(write)
    codes = [os.waitpid(pid, 0)[1] for pid in children]
    with os.fdopen(read) as results:
        counts = [int(line) for line in results]
    assert codes == [0] * processes, codes
    return sum(counts)


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
