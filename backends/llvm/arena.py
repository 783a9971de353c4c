"""Memory for native code, as LLVM IR: blocks, and one of them for the temporaries of each thread.

    void *tpc_block(int64_t bytes)                aligned to 64; NULL where there is no memory
    void  tpc_free_block(void *block)
    void *tpc_workspace(int64_t bytes)            a block that the thread keeps, used again from call to call
    void  tpc_trim(void)                          gives back the block of the thread if it is too large to be kept

Before a block stands how many bytes it has. Large ones are for huge pages. That of a thread goes when the thread ends.
"""

from __future__ import annotations

from string import Template

PAGE, LARGE = 4096, 2**21  # what the size of a block is a multiple of, and from where it is for huge pages
SYMBOLS = ("tpc_workspace", "tpc_trim")
KEPT = 64 * 2**20  # bytes that a thread keeps


def block(bytes: int) -> int:
    """What is taken from the system for a block of so many bytes."""
    return (bytes + 64 + PAGE - 1) // PAGE * PAGE if bytes else 0


def arena() -> str:
    """The functions."""
    return Template(_ARENA).substitute(kept=KEPT, page=PAGE, round=PAGE + 63, large=LARGE)


_ARENA = """
@tpc_once = weak hidden global i32 0
@tpc_key = weak hidden global i32 0

declare i32 @pthread_once(ptr, ptr)
declare i32 @pthread_key_create(ptr, ptr)
declare ptr @pthread_getspecific(i32)
declare i32 @pthread_setspecific(i32, ptr)
declare i32 @posix_memalign(ptr, i64, i64)
declare i32 @madvise(ptr, i64, i32)
declare void @free(ptr)

define weak ptr @tpc_block(i64 %bytes) {
  %place = alloca ptr
  %is_large = icmp uge i64 %bytes, $large
  %unit = select i1 %is_large, i64 $large, i64 $page
  %padded = add i64 %bytes, $round
  %size = and i64 %padded, -$page
  %status = call i32 @posix_memalign(ptr %place, i64 %unit, i64 %size)
  %has_failed = icmp ne i32 %status, 0
  br i1 %has_failed, label %none, label %measure
measure:
  %made = load ptr, ptr %place
  br i1 %is_large, label %advise, label %store
advise:                                           ; small pages of a block of before go, for huge ones to come
  %dropped = call i32 @madvise(ptr %made, i64 %size, i32 4)
  %advised = call i32 @madvise(ptr %made, i64 %size, i32 14)
  br label %store
store:
  %room = sub i64 %size, 64
  store i64 %room, ptr %made
  %start = getelementptr i8, ptr %made, i64 64
  ret ptr %start
none:
  ret ptr null
}

define weak void @tpc_free_block(ptr %block) {
  %made = getelementptr i8, ptr %block, i64 -64
  call void @free(ptr %made)
  ret void
}

define weak hidden i64 @tpc_block_bytes(ptr %block) {
  %made = getelementptr i8, ptr %block, i64 -64
  %bytes = load i64, ptr %made
  ret i64 %bytes
}

define weak hidden void @tpc_make_key() {
  %made = call i32 @pthread_key_create(ptr @tpc_key, ptr @tpc_free_block)
  ret void
}

define weak ptr @tpc_workspace(i64 %bytes) {
  %once = call i32 @pthread_once(ptr @tpc_once, ptr @tpc_make_key)
  %key = load i32, ptr @tpc_key
  %block = call ptr @pthread_getspecific(i32 %key)
  %is_none = icmp eq ptr %block, null
  br i1 %is_none, label %make, label %measure
measure:
  %room = call i64 @tpc_block_bytes(ptr %block)
  %fits = icmp ule i64 %bytes, %room
  br i1 %fits, label %out, label %replace
replace:
  call void @tpc_free_block(ptr %block)
  br label %make
make:
  %made = call ptr @tpc_block(i64 %bytes)
  %kept = call i32 @pthread_setspecific(i32 %key, ptr %made)
  br label %out
out:
  %chosen = phi ptr [ %block, %measure ], [ %made, %make ]
  ret ptr %chosen
}

define weak void @tpc_trim() {
  %once = call i32 @pthread_once(ptr @tpc_once, ptr @tpc_make_key)
  %key = load i32, ptr @tpc_key
  %block = call ptr @pthread_getspecific(i32 %key)
  %is_none = icmp eq ptr %block, null
  br i1 %is_none, label %out, label %measure
measure:
  %room = call i64 @tpc_block_bytes(ptr %block)
  %is_small = icmp ule i64 %room, $kept
  br i1 %is_small, label %out, label %drop
drop:
  call void @tpc_free_block(ptr %block)
  %emptied = call i32 @pthread_setspecific(i32 %key, ptr null)
  br label %out
out:
  ret void
}
"""
