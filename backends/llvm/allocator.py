"""Memory of large results, as LLVM IR: the allocator that their arrays get.

Blocks that arrays let go are kept, for results of about the same size: pages that were never touched cost as much as
reading them twice. What is kept is bounded: those that have lain there make room for what was used last. The system may
take the pages of what is kept when it needs them.

The functions are those that NumPy asks of an allocator (NEP 49).
"""

from __future__ import annotations

from string import Template

from tpc.backends.llvm.arena import LARGE

SYMBOLS = ("tpc_result_malloc", "tpc_result_calloc", "tpc_result_realloc", "tpc_result_free")
FROM = 4 * 2**20  # bytes of a result that gets this memory: the C library keeps what is smaller itself
KEPT = 256 * 2**20  # bytes that are kept together


def allocator() -> str:
    """The functions; those of `arena` must be beside them."""
    return Template(_ALLOCATOR).substitute(kept=KEPT, large=LARGE)


_ALLOCATOR = """
@tpc_result_slots = weak hidden global [8 x ptr] zeroinitializer, align 64     ; blocks that are kept
@tpc_result_kept = weak hidden global i64 0                                    ; bytes of these
@tpc_result_turn = weak hidden global i64 0                                    ; slots that made room, one by one

declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define weak ptr @tpc_result_malloc(ptr %context, i64 %size) {
  %quarter = lshr i64 %size, 2
  %slack = add i64 %quarter, $large
  %most = add i64 %size, %slack
  br label %look
look:
  %number = phi i64 [ 0, %0 ], [ %next, %go_on ]
  %slot = getelementptr ptr, ptr @tpc_result_slots, i64 %number
  %block = atomicrmw xchg ptr %slot, ptr null acq_rel
  %is_none = icmp eq ptr %block, null
  br i1 %is_none, label %go_on, label %measure
measure:
  %room = call i64 @tpc_block_bytes(ptr %block)
  %is_enough = icmp uge i64 %room, %size
  %is_near = icmp ule i64 %room, %most
  %fits = and i1 %is_enough, %is_near
  br i1 %fits, label %take, label %leave
take:
  %before = atomicrmw sub ptr @tpc_result_kept, i64 %room monotonic
  ret ptr %block
leave:
  call void @tpc_result_keep(ptr %block)
  br label %go_on
go_on:
  %next = add i64 %number, 1
  %is_last = icmp eq i64 %next, 8
  br i1 %is_last, label %make, label %look
make:
  %made = call ptr @tpc_block(i64 %size)
  ret ptr %made
}

define weak void @tpc_result_free(ptr %context, ptr %block, i64 %size) {
  %is_none = icmp eq ptr %block, null
  br i1 %is_none, label %out, label %measure
measure:
  %room = call i64 @tpc_block_bytes(ptr %block)
  %before = atomicrmw add ptr @tpc_result_kept, i64 %room monotonic
  %is_huge = icmp ugt i64 %room, $kept
  br i1 %is_huge, label %give_back, label %look
look:
  %tries = phi i64 [ 0, %measure ], [ %more, %evict ]
  %held = load atomic i64, ptr @tpc_result_kept monotonic, align 8
  %is_much = icmp ugt i64 %held, $kept
  br i1 %is_much, label %seek, label %lend
seek:
  %is_over = icmp eq i64 %tries, 8
  br i1 %is_over, label %give_back, label %evict
evict:
  call void @tpc_result_make_room(ptr null)
  %more = add i64 %tries, 1
  br label %look
give_back:
  call void @tpc_result_drop(ptr %block)
  br label %out
lend:                                             ; the pages may be taken, the number of bytes is written again
  %made = getelementptr i8, ptr %block, i64 -64
  %whole = add i64 %room, 64
  %lent = call i32 @madvise(ptr %made, i64 %whole, i32 8)
  store i64 %room, ptr %made
  call void @tpc_result_keep(ptr %block)
  br label %out
out:
  ret void
}

; Put a block, whose bytes are counted, into a free slot, or into the place of another one.
define weak hidden void @tpc_result_keep(ptr %block) {
  br label %look
look:
  %number = phi i64 [ 0, %0 ], [ %next, %go_on ]
  %slot = getelementptr ptr, ptr @tpc_result_slots, i64 %number
  %tried = cmpxchg ptr %slot, ptr null, ptr %block acq_rel monotonic
  %is_kept = extractvalue { ptr, i1 } %tried, 1
  br i1 %is_kept, label %out, label %go_on
go_on:
  %next = add i64 %number, 1
  %is_last = icmp eq i64 %next, 8
  br i1 %is_last, label %replace, label %look
replace:
  call void @tpc_result_make_room(ptr %block)
  br label %out
out:
  ret void
}

; Put a block or none into the slot whose turn it is, and give back what was there.
define weak hidden void @tpc_result_make_room(ptr %block) {
  %turn = atomicrmw add ptr @tpc_result_turn, i64 1 monotonic
  %number = and i64 %turn, 7
  %slot = getelementptr ptr, ptr @tpc_result_slots, i64 %number
  %other = atomicrmw xchg ptr %slot, ptr %block acq_rel
  %is_none = icmp eq ptr %other, null
  br i1 %is_none, label %out, label %drop
drop:
  call void @tpc_result_drop(ptr %other)
  br label %out
out:
  ret void
}

; Give a block, whose bytes are counted, back to the system.
define weak hidden void @tpc_result_drop(ptr %block) {
  %room = call i64 @tpc_block_bytes(ptr %block)
  %before = atomicrmw sub ptr @tpc_result_kept, i64 %room monotonic
  call void @tpc_free_block(ptr %block)
  ret void
}

define weak ptr @tpc_result_calloc(ptr %context, i64 %count, i64 %each) {
  %size = mul i64 %count, %each
  %block = call ptr @tpc_result_malloc(ptr %context, i64 %size)
  %is_none = icmp eq ptr %block, null
  br i1 %is_none, label %out, label %clear
clear:
  call void @llvm.memset.p0.i64(ptr %block, i8 0, i64 %size, i1 false)
  br label %out
out:
  ret ptr %block
}

define weak ptr @tpc_result_realloc(ptr %context, ptr %block, i64 %size) {
  %is_none = icmp eq ptr %block, null
  br i1 %is_none, label %make, label %measure
make:
  %first = call ptr @tpc_result_malloc(ptr %context, i64 %size)
  ret ptr %first
measure:
  %room = call i64 @tpc_block_bytes(ptr %block)
  %fits = icmp ule i64 %size, %room
  br i1 %fits, label %same, label %move
same:
  ret ptr %block
move:
  %moved = call ptr @tpc_result_malloc(ptr %context, i64 %size)
  %has_failed = icmp eq ptr %moved, null
  br i1 %has_failed, label %none, label %copy
none:
  ret ptr null
copy:
  call void @llvm.memcpy.p0.p0.i64(ptr %moved, ptr %block, i64 %room, i1 false)
  call void @tpc_result_free(ptr %context, ptr %block, i64 %room)
  ret ptr %moved
}
"""
