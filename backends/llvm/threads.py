"""The pool of threads of native code, as LLVM IR.

    void  tpc_parallel(void (*body)(void *context, int64_t begin, int64_t end),
                       void *context, int64_t count, int64_t grain)
    void  tpc_set_threads(int64_t count)          0: as many as there are cores, or as TPC_THREADS says
    int64_t tpc_threads(void)
    void  tpc_limit_begin(int64_t count)          from here on, whatever was set; of several limits the last one holds
    void  tpc_limit_end(void)

`tpc_parallel` runs `body` on parts of 0 to count, which begin at multiples of `grain`. Parts are taken one by one from
a cursor, which holds the number of the region and the parts that are left, so that one compare-and-swap takes a part
and proves that the region that was read is still the one that runs. The caller takes parts too, and waits for parts
that were taken, never for threads: beside other work a worker that gets no processor costs nothing. Workers that
had work look for more for some 50 µs, then they sleep. They are started and woken where the first part shows that it
pays. Regions in regions, and regions of a second caller, run in the thread that calls. A child process begins with an
empty pool.

The definitions are weak: objects that are linked together share one pool.
"""

from __future__ import annotations

from string import Template

SYMBOLS = ("tpc_parallel", "tpc_set_threads", "tpc_threads", "tpc_limit_begin", "tpc_limit_end")
PARTS = 8  # for each thread; more share the work better beside other load, fewer cost less
SPINS = 1000  # looks for work, of some 50 ns each
PAYS = 5000  # nanoseconds of work for which workers are woken, twice what that costs

_TARGETS = {
    "x86_64": ("@llvm.x86.sse2.pause()", 202),
    "aarch64": ("@llvm.aarch64.hint(i32 1)", 98),
}  # how to wait a little; the number of futex


def is_known(triple: str) -> bool:
    """Whether there is a pool for a target; the others have no native code."""
    return triple.partition("-")[0] in _TARGETS and "linux" in triple


def pool(triple: str, has_atfork: bool = True) -> str:
    """The pool for a target; `has_atfork` is False where the C library gives that to linkers alone."""
    pause, futex = _TARGETS[triple.partition("-")[0]]
    text = _POOL + (_DECLARED_ATFORK if has_atfork else _OWN_ATFORK)
    return Template(text).substitute(
        pause=pause, declared=pause.replace("i32 1", "i32"), futex=futex, parts=PARTS, spins=SPINS, pays=PAYS
    )


_POOL = """
@tpc_cursor = weak hidden global i64 0, align 64      ; region << 32 | parts left
@tpc_done = weak hidden global i32 0, align 64        ; parts of the region that are done
@tpc_waiting = weak hidden global i32 0               ; whether the caller sleeps on tpc_done
@tpc_body = weak hidden global ptr null, align 64     ; the region, unchanged while parts of it are left or run
@tpc_context = weak hidden global ptr null
@tpc_count = weak hidden global i64 0
@tpc_size = weak hidden global i64 0
@tpc_parts = weak hidden global i64 0
@tpc_wake = weak hidden global i32 0, align 64        ; idle workers sleep on this
@tpc_sleepers = weak hidden global i32 0
@tpc_wanted = weak hidden global i32 0                ; threads, with the caller; 0 until it is known
@tpc_limit = weak hidden global i64 0, align 64       ; threads within a limit
@tpc_limited = weak hidden global i32 0               ; calls that are within one
@tpc_busy = weak hidden global i32 0, align 64        ; whether a region runs; guards what follows
@tpc_started = weak hidden global i32 0               ; workers
@tpc_is_watching = weak hidden global i1 false        ; whether forks are watched for
@tpc_variable = weak hidden constant [12 x i8] c"TPC_THREADS\\00"

declare void $declared
declare i64 @syscall(i64, ...)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sched_getaffinity(i32, i64, ptr)
declare ptr @getenv(ptr)
declare i32 @clock_gettime(i32, ptr)
declare i32 @atoi(ptr)
declare i64 @llvm.ctpop.i64(i64)
declare i64 @llvm.smax.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define weak void @tpc_parallel(ptr %body, ptr %context, i64 %count, i64 %grain) {
  %threads = call i64 @tpc_threads()
  %unit = call i64 @llvm.smax.i64(i64 %grain, i64 1)
  %is_small = icmp sle i64 %count, %unit
  %is_single = icmp sle i64 %threads, 1
  %is_serial = or i1 %is_small, %is_single
  br i1 %is_serial, label %alone, label %ask
ask:
  %asked = cmpxchg ptr @tpc_busy, i32 0, i32 1 acquire monotonic
  %is_ours = extractvalue { i32, i1 } %asked, 1
  br i1 %is_ours, label %ours, label %alone
ours:
  %wished = mul i64 %threads, $parts
  %above = add i64 %count, %wished
  %above_less = sub i64 %above, 1
  %even = udiv i64 %above_less, %wished
  %rounding = sub i64 %unit, 1
  %padded = add i64 %even, %rounding
  %units = udiv i64 %padded, %unit
  %size = mul i64 %units, %unit
  %last = add i64 %count, %size
  %last_less = sub i64 %last, 1
  %parts = udiv i64 %last_less, %size
  store atomic ptr %body, ptr @tpc_body monotonic, align 8
  store atomic ptr %context, ptr @tpc_context monotonic, align 8
  store atomic i64 %count, ptr @tpc_count monotonic, align 8
  store atomic i64 %size, ptr @tpc_size monotonic, align 8
  store atomic i64 %parts, ptr @tpc_parts monotonic, align 8
  store atomic i32 0, ptr @tpc_done monotonic, align 4
  %before = load atomic i64, ptr @tpc_cursor monotonic, align 8
  %region = and i64 %before, -4294967296
  %next = add i64 %region, 4294967296
  %open = or i64 %next, %parts
  store atomic i64 %open, ptr @tpc_cursor seq_cst, align 8
  %workers64 = sub i64 %threads, 1
  %workers = trunc i64 %workers64 to i32
  %started = load i32, ptr @tpc_started
  %lacks = icmp slt i32 %started, %workers
  %asleep = load atomic i32, ptr @tpc_sleepers seq_cst, align 4
  %some_sleep = icmp ne i32 %asleep, 0
  %is_alone = or i1 %lacks, %some_sleep
  br i1 %is_alone, label %try, label %work
try:                                                  ; to wake others must pay
  %begun = call i64 @tpc_now()
  %tried = call i1 @tpc_take()
  %ended = call i64 @tpc_now()
  %took = sub i64 %ended, %begun
  %now = load atomic i64, ptr @tpc_cursor monotonic, align 8
  %left = and i64 %now, 4294967295
  %rest = mul i64 %took, %left
  %pays = icmp sgt i64 %rest, $pays
  br i1 %pays, label %call, label %work
call:
  br i1 %lacks, label %start, label %rouse
start:
  call void @tpc_start(i32 %workers)
  br label %rouse
rouse:
  %has_more = icmp sgt i32 %started, %workers         ; some may be asleep for good, so that all are woken
  %woken = select i1 %has_more, i32 2147483647, i32 %workers
  %counted = atomicrmw add ptr @tpc_wake, i32 1 seq_cst
  %roused = call i64 (i64, ...) @syscall(i64 $futex, ptr @tpc_wake, i64 129, i32 %woken)
  br label %work
work:
  call void @tpc_work()
  %parts32 = trunc i64 %parts to i32
  br label %look
look:
  %looks = phi i32 [ 0, %work ], [ %looks_next, %again ]
  %seen = load atomic i32, ptr @tpc_done acquire, align 4
  %is_done = icmp eq i32 %seen, %parts32
  br i1 %is_done, label %free, label %again
again:
  call void $pause
  %looks_next = add i32 %looks, 1
  %goes_on = icmp slt i32 %looks_next, $spins
  br i1 %goes_on, label %look, label %doze
doze:
  store atomic i32 1, ptr @tpc_waiting seq_cst, align 4
  br label %check
check:
  %so_far = load atomic i32, ptr @tpc_done seq_cst, align 4
  %is_over = icmp eq i32 %so_far, %parts32
  br i1 %is_over, label %up, label %wait
wait:
  %waited = call i64 (i64, ...) @syscall(i64 $futex, ptr @tpc_done, i64 128, i32 %so_far, ptr null)
  br label %check
up:
  store atomic i32 0, ptr @tpc_waiting monotonic, align 4
  br label %free
free:
  store atomic i32 0, ptr @tpc_busy release, align 4
  ret void
alone:
  %is_any = icmp sgt i64 %count, 0
  br i1 %is_any, label %whole, label %out
whole:
  tail call void %body(ptr %context, i64 0, i64 %count)
  br label %out
out:
  ret void
}

; Take a part and run it; false where none is left.
define weak hidden i1 @tpc_take() {
  br label %look
look:
  %cursor = load atomic i64, ptr @tpc_cursor acquire, align 8
  %left = and i64 %cursor, 4294967295
  %is_empty = icmp eq i64 %left, 0
  br i1 %is_empty, label %out, label %take
take:
  %body = load atomic ptr, ptr @tpc_body monotonic, align 8
  %context = load atomic ptr, ptr @tpc_context monotonic, align 8
  %count = load atomic i64, ptr @tpc_count monotonic, align 8
  %size = load atomic i64, ptr @tpc_size monotonic, align 8
  %parts = load atomic i64, ptr @tpc_parts monotonic, align 8
  %less = sub i64 %cursor, 1
  %taken = cmpxchg ptr @tpc_cursor, i64 %cursor, i64 %less acq_rel monotonic
  %is_ours = extractvalue { i64, i1 } %taken, 1
  br i1 %is_ours, label %run, label %look
run:
  %number = sub i64 %parts, %left
  %begin = mul i64 %number, %size
  %far = add i64 %begin, %size
  %end = call i64 @llvm.smin.i64(i64 %far, i64 %count)
  call void %body(ptr %context, i64 %begin, i64 %end)
  %before = atomicrmw add ptr @tpc_done, i32 1 seq_cst
  %after = add i32 %before, 1
  %parts32 = trunc i64 %parts to i32
  %is_last = icmp eq i32 %after, %parts32
  br i1 %is_last, label %tell, label %more
tell:
  %waiting = load atomic i32, ptr @tpc_waiting seq_cst, align 4
  %is_awaited = icmp ne i32 %waiting, 0
  br i1 %is_awaited, label %wake, label %more
wake:
  %woken = call i64 (i64, ...) @syscall(i64 $futex, ptr @tpc_done, i64 129, i32 1)
  br label %more
more:
  ret i1 true
out:
  ret i1 false
}

; Take parts and run them, until none is left.
define weak hidden void @tpc_work() {
  br label %next
next:
  %has_run = call i1 @tpc_take()
  br i1 %has_run, label %next, label %out
out:
  ret void
}

; Nanoseconds of a clock.
define weak hidden i64 @tpc_now() {
  %time = alloca [2 x i64]
  %asked = call i32 @clock_gettime(i32 1, ptr %time)
  %seconds = load i64, ptr %time
  %place = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %place
  %whole = mul i64 %seconds, 1000000000
  %now = add i64 %whole, %rest
  ret i64 %now
}

; Whether there is work for a worker of this number.
define weak hidden i1 @tpc_has_work(i32 %number) {
  %cursor = load atomic i64, ptr @tpc_cursor seq_cst, align 8
  %left = and i64 %cursor, 4294967295
  %is_any = icmp ne i64 %left, 0
  %threads = call i64 @tpc_threads()
  %wanted = trunc i64 %threads to i32
  %workers = sub i32 %wanted, 1
  %is_wanted = icmp slt i32 %number, %workers
  %has = and i1 %is_any, %is_wanted
  ret i1 %has
}

define weak hidden ptr @tpc_worker(ptr %argument) {
  %number64 = ptrtoint ptr %argument to i64
  %number = trunc i64 %number64 to i32
  br label %look
look:
  %looks = phi i32 [ 0, %0 ], [ 0, %work ], [ $spins, %up ], [ %looks_next, %idle ]
  %has = call i1 @tpc_has_work(i32 %number)
  br i1 %has, label %work, label %idle
work:
  call void @tpc_work()
  br label %look
idle:
  call void $pause
  %looks_next = add i32 %looks, 1
  %goes_on = icmp slt i32 %looks_next, $spins
  br i1 %goes_on, label %look, label %lie_down
lie_down:                                            ; first counted, then a last look: no region is missed
  %counted = atomicrmw add ptr @tpc_sleepers, i32 1 seq_cst
  %ticket = load atomic i32, ptr @tpc_wake seq_cst, align 4
  %has_now = call i1 @tpc_has_work(i32 %number)
  br i1 %has_now, label %up, label %sleep
sleep:
  %slept = call i64 (i64, ...) @syscall(i64 $futex, ptr @tpc_wake, i64 128, i32 %ticket, ptr null)
  br label %up
up:
  %uncounted = atomicrmw sub ptr @tpc_sleepers, i32 1 seq_cst
  br label %look
}

; Start workers, up to a number; signals are for the threads of the program. What cannot be started is done without.
define weak hidden void @tpc_start(i32 %workers) {
  %thread = alloca i64
  %all = alloca [128 x i8], align 8
  %old = alloca [128 x i8], align 8
  %is_watching = load i1, ptr @tpc_is_watching
  br i1 %is_watching, label %begin, label %watch
watch:
  store i1 true, ptr @tpc_is_watching
  %watched = call i32 @pthread_atfork(ptr null, ptr null, ptr @tpc_forget)
  br label %begin
begin:
  call void @llvm.memset.p0.i64(ptr %all, i8 -1, i64 128, i1 false)
  %masked = call i32 @pthread_sigmask(i32 2, ptr %all, ptr %old)
  br label %look
look:
  %number = load i32, ptr @tpc_started
  %is_enough = icmp sge i32 %number, %workers
  br i1 %is_enough, label %out, label %create
create:
  %number64 = sext i32 %number to i64
  %argument = inttoptr i64 %number64 to ptr
  %failed = call i32 @pthread_create(ptr %thread, ptr null, ptr @tpc_worker, ptr %argument)
  %is_started = icmp eq i32 %failed, 0
  br i1 %is_started, label %count, label %out
count:
  %id = load i64, ptr %thread
  %detached = call i32 @pthread_detach(i64 %id)
  %more = add i32 %number, 1
  store i32 %more, ptr @tpc_started
  br label %look
out:
  %unmasked = call i32 @pthread_sigmask(i32 2, ptr %old, ptr null)
  ret void
}

; What a child process does: it has none of the workers.
define weak hidden void @tpc_forget() {
  store i64 0, ptr @tpc_cursor
  store i32 0, ptr @tpc_waiting
  store i32 0, ptr @tpc_sleepers
  store i32 0, ptr @tpc_busy
  store i32 0, ptr @tpc_started
  store i32 0, ptr @tpc_limited
  ret void
}

define weak void @tpc_limit_begin(i64 %count) {
  store atomic i64 %count, ptr @tpc_limit monotonic, align 8
  %before = atomicrmw add ptr @tpc_limited, i32 1 seq_cst
  ret void
}

define weak void @tpc_limit_end() {
  %before = atomicrmw sub ptr @tpc_limited, i32 1 seq_cst
  ret void
}

define weak i64 @tpc_threads() {
  %limited = load atomic i32, ptr @tpc_limited seq_cst, align 4
  %is_limited = icmp sgt i32 %limited, 0
  br i1 %is_limited, label %limit, label %look
limit:
  %most = load atomic i64, ptr @tpc_limit monotonic, align 8
  ret i64 %most
look:
  %known = load atomic i32, ptr @tpc_wanted monotonic, align 4
  %is_known = icmp ne i32 %known, 0
  br i1 %is_known, label %out, label %find
find:
  call void @tpc_set_threads(i64 0)
  %found = load atomic i32, ptr @tpc_wanted monotonic, align 4
  br label %out
out:
  %threads = phi i32 [ %known, %look ], [ %found, %find ]
  %threads64 = sext i32 %threads to i64
  ret i64 %threads64
}

define weak void @tpc_set_threads(i64 %count) {
  %mask = alloca [16 x i64], align 8
  %is_said = icmp sgt i64 %count, 0
  br i1 %is_said, label %out, label %environment
environment:
  %text = call ptr @getenv(ptr @tpc_variable)
  %is_set = icmp ne ptr %text, null
  br i1 %is_set, label %read, label %affinity
read:
  %number = call i32 @atoi(ptr %text)
  %number64 = sext i32 %number to i64
  %is_number = icmp sgt i64 %number64, 0
  br i1 %is_number, label %out, label %affinity
affinity:
  call void @llvm.memset.p0.i64(ptr %mask, i8 0, i64 128, i1 false)
  %asked = call i32 @sched_getaffinity(i32 0, i64 128, ptr %mask)
  br label %each
each:
  %word = phi i64 [ 0, %affinity ], [ %word_next, %each ]
  %sum = phi i64 [ 0, %affinity ], [ %sum_next, %each ]
  %place = getelementptr i64, ptr %mask, i64 %word
  %bits = load i64, ptr %place
  %ones = call i64 @llvm.ctpop.i64(i64 %bits)
  %sum_next = add i64 %sum, %ones
  %word_next = add i64 %word, 1
  %goes_on = icmp ult i64 %word_next, 16
  br i1 %goes_on, label %each, label %out
out:
  %wanted = phi i64 [ %count, %0 ], [ %number64, %read ], [ %sum_next, %each ]
  %least = call i64 @llvm.smax.i64(i64 %wanted, i64 1)
  %most = call i64 @llvm.smin.i64(i64 %least, i64 1024)
  %wanted32 = trunc i64 %most to i32
  store atomic i32 %wanted32, ptr @tpc_wanted monotonic, align 4
  ret void
}
"""

_DECLARED_ATFORK = """
declare i32 @pthread_atfork(ptr, ptr, ptr)
"""

_OWN_ATFORK = """
declare i32 @__register_atfork(ptr, ptr, ptr, ptr)
define internal i32 @pthread_atfork(ptr %prepare, ptr %parent, ptr %child) {
  %failed = call i32 @__register_atfork(ptr %prepare, ptr %parent, ptr %child, ptr null)
  ret i32 %failed
}
"""
