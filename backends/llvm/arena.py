"""Memory for the temporaries of native code, as LLVM IR: one block for each thread, used again from call to call.

    void *tpc_workspace(int64_t bytes)            aligned to 64; NULL where there is no memory
    void  tpc_trim(void)                          gives back a block that is too large to be kept

A block has its size in the first 64 bytes. Large ones are for huge pages. They go when their threads end.
"""

from __future__ import annotations

from string import Template

SMALL, LARGE = 4096, 2**21  # units of blocks; large ones are for huge pages
SYMBOLS = ("tpc_workspace", "tpc_trim")
KEPT = 64 * 2**20  # bytes that a thread keeps


def block(bytes: int) -> int:
    """The bytes of the block that is made for so many of temporaries."""
    unit = LARGE if bytes >= LARGE else SMALL
    return (bytes + unit + 63) // unit * unit if bytes else 0


def arena() -> str:
    """The functions."""
    return Template(_ARENA).substitute(kept=KEPT, small=SMALL, large=LARGE)


_ARENA = """
@tpc_once = weak hidden global i32 0
@tpc_key = weak hidden global i32 0

declare i32 @pthread_once(ptr, ptr)
declare i32 @pthread_key_create(ptr, ptr)
declare ptr @pthread_getspecific(i32)
declare i32 @pthread_setspecific(i32, ptr)
declare ptr @aligned_alloc(i64, i64)
declare i32 @madvise(ptr, i64, i32)
declare void @free(ptr)

define weak hidden void @tpc_make_key() {
  %made = call i32 @pthread_key_create(ptr @tpc_key, ptr @free)
  ret void
}

define weak ptr @tpc_workspace(i64 %bytes) {
  %once = call i32 @pthread_once(ptr @tpc_once, ptr @tpc_make_key)
  %key = load i32, ptr @tpc_key
  %block = call ptr @pthread_getspecific(i32 %key)
  %is_none = icmp eq ptr %block, null
  br i1 %is_none, label %make, label %measure
measure:
  %capacity = load i64, ptr %block
  %fits = icmp ule i64 %bytes, %capacity
  br i1 %fits, label %out, label %replace
replace:
  call void @free(ptr %block)
  %emptied = call i32 @pthread_setspecific(i32 %key, ptr null)
  br label %make
make:
  %is_large = icmp uge i64 %bytes, $large
  %unit = select i1 %is_large, i64 $large, i64 $small
  %header = add i64 %unit, 63
  %padded = add i64 %bytes, %header
  %rest = sub i64 0, %unit
  %size = and i64 %padded, %rest
  %made = call ptr @aligned_alloc(i64 %unit, i64 %size)
  %has_failed = icmp eq ptr %made, null
  br i1 %has_failed, label %none, label %keep
keep:
  br i1 %is_large, label %advise, label %store
advise:
  %advised = call i32 @madvise(ptr %made, i64 %size, i32 14)
  br label %store
store:
  %room = sub i64 %size, 64
  store i64 %room, ptr %made
  %kept = call i32 @pthread_setspecific(i32 %key, ptr %made)
  br label %out
out:
  %chosen = phi ptr [ %block, %measure ], [ %made, %store ]
  %start = getelementptr i8, ptr %chosen, i64 64
  ret ptr %start
none:
  ret ptr null
}

define weak void @tpc_trim() {
  %once = call i32 @pthread_once(ptr @tpc_once, ptr @tpc_make_key)
  %key = load i32, ptr @tpc_key
  %block = call ptr @pthread_getspecific(i32 %key)
  %is_none = icmp eq ptr %block, null
  br i1 %is_none, label %out, label %measure
measure:
  %capacity = load i64, ptr %block
  %is_small = icmp ule i64 %capacity, $kept
  br i1 %is_small, label %out, label %drop
drop:
  call void @free(ptr %block)
  %emptied = call i32 @pthread_setspecific(i32 %key, ptr null)
  br label %out
out:
  ret void
}
"""
