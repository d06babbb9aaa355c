import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Threads that live as long as the pool and share out the chunks of one operation after the other.
///
/// A forward pass has some hundred short parallel steps a token, so a step must cost microseconds: workers wait for the
/// next one in a loop for a while before they sleep. Chunks are handed out by atomic counters, and a step ends when its
/// *chunks* are done, not when every worker has woken up: a core that was taken away costs what it holds, never a
/// barrier.
package final class ThreadPool: Sendable {
    /// The number of threads that work, the caller's own included: fewer than asked for where the system gave fewer.
    package let threadCount: Int

    private let state: PoolState
    private let threads: [Thread]
    /// Steps of two callers follow one another.
    private let caller = Mutex(())

    /// Starts `threadCount - 1` workers; the thread that calls ``parallelFor(_:_:)`` is the remaining one.
    package init(threadCount: Int) {
        precondition(threadCount >= 1 && threadCount <= Self.maximumThreads, "\(threadCount) threads")
        let state = PoolState(threadCount: threadCount)
        var threads: [Thread] = []
        for worker in 1..<threadCount {
            guard let thread = Thread(state: state, worker: worker) else { break }
            threads.append(thread)
        }
        self.state = state
        self.threads = threads
        self.threadCount = threads.count + 1
    }

    deinit {
        state.stop()
        for thread in threads { thread.join() }
    }

    /// More threads than this are a mistake of whoever asked.
    package static let maximumThreads = 512

    /// Calls `body(index, worker)` once for every index in `0..<count` and returns when all calls have returned.
    ///
    /// Calls run on several threads at once, in no order that could be relied on, though chunks are begun from the first
    /// to the last; `worker` is below ``threadCount`` and tells apart the threads of this call that run at the same time,
    /// for scratch memory of their own. Several threads may call at once and take turns. A body must not call back into
    /// its own pool: it would wait for itself.
    package func parallelFor(_ count: Int, _ body: @Sendable (_ index: Int, _ worker: Int) -> Void) {
        run(count, shares: 1) { indices, worker in
            for index in indices { body(index, worker) }
        }
    }

    /// Calls `body(indices, worker)` with ranges that make up `0..<count`, for chunks that lie one behind the other in
    /// memory and are read once. As with ``parallelFor(_:_:)``, `worker` tells apart threads that run at the same time,
    /// several callers take turns, and a body must not call back into its own pool.
    ///
    /// Every thread has a share of its own and goes through it from the first chunk to the last, half of what is left at
    /// a time; who is through takes from the shares of others. So each reads one stream, which the processor follows
    /// ahead of use, where chunks handed out in turn would make it jump at every one of them; and the threads touch
    /// little that is common, which takes long where they do not share a cache.
    package func parallelRanges(_ count: Int, _ body: @Sendable (_ indices: Range<Int>, _ worker: Int) -> Void) {
        run(count, shares: threadCount, body)
    }

    private func run(_ count: Int, shares: Int, _ body: @Sendable (_ indices: Range<Int>, _ worker: Int) -> Void) {
        precondition(count >= 0 && count <= UInt32.max, "\(count) chunks")
        if threads.isEmpty || count <= 1 {
            if count > 0 {
                body(0..<count, 0)
                Kernels.fence()  // as where other threads take part: the next step may tell them
            }
            return
        }
        caller.withLock { _ in
            withoutActuallyEscaping(body) { body in
                // The box outlives the step: nobody claims a chunk after the last one, and run() waits for that one.
                let job = Job(body: body)
                withExtendedLifetime(job) {
                    unsafe state.run(
                        count: UInt64(count), shares: UInt64(shares), job: Unmanaged.passUnretained(job).toOpaque())
                }
            }
        }
    }
}

/// One operation, boxed so that workers can reach it through a pointer.
private final class Job: Sendable {
    let body: @Sendable (Range<Int>, Int) -> Void

    init(body: @escaping @Sendable (Range<Int>, Int) -> Void) {
        self.body = body
    }
}

/// What the threads of a pool share.
@safe private final class PoolState: @unchecked Sendable {
    // Sendable: every field is atomic, guarded by the mutex, or the same from init to deinit.

    /// What the threads tell one another. Lines of the caches apart: a write takes the whole line away from the other
    /// threads, and where they have no cache in common it takes a third of a microsecond to get it back.
    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    private let wordCount: Int
    /// Words from one line to the next: two lines of most processors, which fetch them in pairs.
    private static let line = 16

    /// The step that was begun last: its number, of 32 bits, its chunks, the shares that they are in, and its ``Job``.
    /// Written by ``run(count:shares:job:)`` alone.
    private static let step = 0
    private static let count = 1
    private static let shares = 2
    private static let job = 3
    /// Chunks of this step that are done.
    private static let done = line
    private let isStopping = Atomic<Bool>(false)
    private let sleepers = Atomic<Int>(0)

    /// Where the ticket of a share is: the step's number in the upper 32 bits, the share's chunks that are not claimed
    /// yet in the lower ones. A worker claims some by compare-and-exchange on both. Counting down matters: a share of a
    /// finished step reads 0 whatever else has been prepared for the next one, so that a late worker can take nothing of
    /// a step that has not begun.
    private static func ticket(_ share: Int) -> Int { (2 + share) * line }

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let wake: UnsafeMutablePointer<pthread_cond_t>

    /// Turns of the waiting loop before a worker sleeps: about 0.2 ms, longer than the pause between two steps or two
    /// tokens, shorter than a human's.
    private static let spins = 20_000

    init(threadCount: Int) {
        wordCount = Self.ticket(threadCount)
        unsafe words = UnsafeMutableRawPointer.allocate(
            byteCount: wordCount * MemoryLayout<UInt64>.size, alignment: Self.line * MemoryLayout<UInt64>.size
        ).bindMemory(to: Atomic<UInt64>.self, capacity: wordCount)
        for index in 0..<wordCount { unsafe (words + index).initialize(to: Atomic(0)) }
        unsafe mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        unsafe wake.initialize(to: pthread_cond_t())
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(wake, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(wake)
        unsafe pthread_mutex_destroy(mutex)
        unsafe words.deinitialize(count: wordCount)
        unsafe words.deallocate()
        unsafe wake.deallocate()
        unsafe mutex.deallocate()
    }

    /// Publishes a step, takes part in it, and waits for its last chunk.
    func run(count: UInt64, shares: UInt64, job: UnsafeMutableRawPointer) {
        let step = unsafe (words[Self.step].load(ordering: .relaxed) &+ 1) & 0xFFFF_FFFF
        unsafe words[Self.done].store(0, ordering: .relaxed)
        unsafe words[Self.count].store(count, ordering: .relaxed)
        unsafe words[Self.shares].store(shares, ordering: .relaxed)
        unsafe words[Self.job].store(UInt64(UInt(bitPattern: job)), ordering: .relaxed)
        for share in 0..<shares {
            let size = Self.end(of: share, shares, count) - Self.end(of: share &- 1, shares, count)
            unsafe words[Self.ticket(Int(share))].store(step << 32 | size, ordering: .releasing)
        }
        // Sequentially consistent with the sleepers' own check, so that one of the two sees the other.
        unsafe words[Self.step].store(step, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
            unsafe pthread_mutex_lock(mutex)
            unsafe pthread_cond_broadcast(wake)
            unsafe pthread_mutex_unlock(mutex)
        }
        work(step: step, worker: 0)
        var turns = 0
        while unsafe words[Self.done].load(ordering: .acquiring) < count {
            Kernels.pause()
            turns += 1
            // Somebody else may need this core to finish the chunk that is waited for.
            if turns % 1024 == 0 { sched_yield() }
        }
    }

    /// What a worker does from its first step to the last.
    func serve(worker: Int) {
        var seen: UInt64 = 0
        while true {
            seen = waitForStep(after: seen)
            if isStopping.load(ordering: .acquiring) { return }
            work(step: seen, worker: worker)
        }
    }

    /// Wakes every worker for the last time.
    func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        unsafe pthread_mutex_lock(mutex)
        unsafe pthread_cond_broadcast(wake)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// The first chunk after a share, of `shares` that hold `count` chunks.
    private static func end(of share: UInt64, _ shares: UInt64, _ count: UInt64) -> UInt64 {
        (share &+ 1) * count / shares
    }

    /// Claims and runs chunks of `step` until there are none left, those of the worker's own share first.
    private func work(step: UInt64, worker: Int) {
        let shares = unsafe words[Self.shares].load(ordering: .relaxed)
        for offset in 0..<shares {
            let finished = work(step: step, worker: worker, share: (UInt64(worker) + offset) % shares)
            guard finished > 0 else { continue }
            // What the chunks wrote past the caches comes before the word that they are done.
            Kernels.fence()
            unsafe words[Self.done].add(finished, ordering: .releasing)
        }
    }

    /// The same, of one share.
    ///
    /// - Returns: how many there were.
    private func work(step: UInt64, worker: Int, share: UInt64) -> UInt64 {
        let ticket = Self.ticket(Int(share))
        var finished: UInt64 = 0
        var current = unsafe words[ticket].load(ordering: .acquiring)
        while current >> 32 == step {
            let unclaimed = current & 0xFFFF_FFFF
            guard unclaimed > 0 else { break }
            // Read before the claim: if it succeeds, a chunk was unclaimed until now, so run() was waiting for it, and
            // these were the step's own.
            let count = unsafe words[Self.count].load(ordering: .relaxed)
            let shares = unsafe words[Self.shares].load(ordering: .relaxed)
            let job = unsafe words[Self.job].load(ordering: .relaxed)
            let taken = shares == 1 ? 1 : max(1, unclaimed / 2)
            let (claimed, found) = unsafe words[ticket].compareExchange(
                expected: current, desired: current - taken, ordering: .acquiringAndReleasing)
            guard claimed else {
                current = found
                continue
            }
            let first = Int(Self.end(of: share, shares, count) - unclaimed)
            if let pointer = unsafe UnsafeRawPointer(bitPattern: UInt(job)) {
                unsafe Unmanaged<Job>.fromOpaque(pointer)._withUnsafeGuaranteedRef {
                    $0.body(first..<first + Int(taken), worker)
                }
            }
            finished += taken
            current = unsafe words[ticket].load(ordering: .acquiring)
        }
        return finished
    }

    /// Waits, first in a loop, then asleep, until there is a step other than `seen` or the pool stops.
    private func waitForStep(after seen: UInt64) -> UInt64 {
        for _ in 0..<Self.spins {
            let step = unsafe words[Self.step].load(ordering: .acquiring)
            if step != seen || isStopping.load(ordering: .relaxed) { return step }
            Kernels.pause()
        }
        unsafe pthread_mutex_lock(mutex)
        sleepers.add(1, ordering: .sequentiallyConsistent)
        while unsafe words[Self.step].load(ordering: .sequentiallyConsistent) == seen,
            !isStopping.load(ordering: .sequentiallyConsistent)
        {
            unsafe pthread_cond_wait(wake, mutex)
        }
        sleepers.subtract(1, ordering: .sequentiallyConsistent)
        unsafe pthread_mutex_unlock(mutex)
        return unsafe words[Self.step].load(ordering: .acquiring)
    }
}

/// One worker's thread.
@safe private final class Thread: @unchecked Sendable {
    // Sendable: the handle is written once, in init, and read once, by the pool's deinit.
    private var handle: pthread_t

    /// Starts a thread that serves `state`; nil where the system has no more threads.
    init?(state: PoolState, worker: Int) {
        let context = unsafe Unmanaged.passRetained(WorkerContext(state: state, worker: worker))
        #if canImport(Darwin)
        var handle: pthread_t?
        #else
        var handle = pthread_t()
        #endif
        let status = unsafe pthread_create(&handle, nil, workerMain, context.toOpaque())
        guard status == 0 else {
            unsafe context.release()
            return nil
        }
        #if canImport(Darwin)
        guard let handle = unsafe handle else { return nil }
        #endif
        self.handle = handle
    }

    func join() {
        pthread_join(handle, nil)
    }
}

/// What a new thread is handed.
private final class WorkerContext: Sendable {
    let state: PoolState
    let worker: Int

    init(state: PoolState, worker: Int) {
        self.state = state
        self.worker = worker
    }
}

#if canImport(Darwin)
private func workerMain(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    unsafe serve(argument)
    return nil
}
#else
private func workerMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let argument = unsafe argument { unsafe serve(argument) }
    return nil
}
#endif

/// Takes over the context that ``Thread`` retained, and serves until the pool stops.
private func serve(_ argument: UnsafeMutableRawPointer) {
    let context = unsafe Unmanaged<WorkerContext>.fromOpaque(argument).takeRetainedValue()
    context.state.serve(worker: context.worker)
}
