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
/// next one in a loop for a while before they sleep. Chunks are handed out by one atomic counter, and a step ends when
/// its *chunks* are done, not when every worker has woken up: a core that was taken away costs the chunk that it holds,
/// never a barrier.
package final class ThreadPool: Sendable {
    /// The number of threads that work, the caller's own included: fewer than asked for where the system gave fewer.
    package let threadCount: Int

    private let state = PoolState()
    private let threads: [Thread]
    /// Steps of two callers follow one another.
    private let caller = Mutex(())

    /// Starts `threadCount - 1` workers; the thread that calls ``parallelFor(_:_:)`` is the remaining one.
    package init(threadCount: Int) {
        precondition(threadCount >= 1 && threadCount <= Self.maximumThreads, "\(threadCount) threads")
        var threads: [Thread] = []
        for worker in 1..<threadCount {
            guard let thread = Thread(state: state, worker: worker) else { break }
            threads.append(thread)
        }
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
        precondition(count >= 0 && count <= UInt32.max, "\(count) chunks")
        if threads.isEmpty || count <= 1 {
            for index in 0..<count { body(index, 0) }
            return
        }
        caller.withLock { _ in
            withoutActuallyEscaping(body) { body in
                // The box outlives the step: nobody claims a chunk after the last one, and run() waits for that one.
                let job = Job(body: body)
                withExtendedLifetime(job) {
                    unsafe state.run(count: UInt32(count), job: Unmanaged.passUnretained(job).toOpaque())
                }
            }
        }
    }
}

/// One operation, boxed so that workers can reach it through a pointer.
private final class Job: Sendable {
    let body: @Sendable (Int, Int) -> Void

    init(body: @escaping @Sendable (Int, Int) -> Void) {
        self.body = body
    }
}

/// What the threads of a pool share.
@safe private final class PoolState: @unchecked Sendable {
    // Sendable: every field is atomic or guarded by the mutex.

    /// The step's number in the upper 32 bits, the chunks of it that are not claimed yet in the lower ones. A worker
    /// claims a chunk by compare-and-exchange on both. Counting down matters: a finished step reads 0 whatever else has
    /// been prepared for the next one, so that a late worker can take nothing of a step that has not begun.
    private let ticket = Atomic<UInt64>(0)
    private let count = Atomic<UInt32>(0)
    private let job = Atomic<UInt>(0)
    private let done = Atomic<UInt32>(0)
    private let isStopping = Atomic<Bool>(false)
    private let sleepers = Atomic<Int>(0)

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let wake: UnsafeMutablePointer<pthread_cond_t>

    /// Turns of the waiting loop before a worker sleeps: about 0.2 ms, longer than the pause between two steps or two
    /// tokens, shorter than a human's.
    private static let spins = 20_000

    init() {
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
        unsafe wake.deallocate()
        unsafe mutex.deallocate()
    }

    /// Publishes a step, takes part in it, and waits for its last chunk.
    func run(count: UInt32, job: UnsafeMutableRawPointer) {
        let step = ((ticket.load(ordering: .relaxed) >> 32) &+ 1) & 0xFFFF_FFFF
        self.done.store(0, ordering: .relaxed)
        self.count.store(count, ordering: .relaxed)
        self.job.store(UInt(bitPattern: job), ordering: .relaxed)
        // Sequentially consistent with the sleepers' own check, so that one of the two sees the other.
        ticket.store(step << 32 | UInt64(count), ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
            unsafe pthread_mutex_lock(mutex)
            unsafe pthread_cond_broadcast(wake)
            unsafe pthread_mutex_unlock(mutex)
        }
        work(step: step, worker: 0)
        var turns = 0
        while done.load(ordering: .acquiring) < count {
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

    /// Claims and runs chunks of `step` until there are none left.
    private func work(step: UInt64, worker: Int) {
        var current = ticket.load(ordering: .acquiring)
        while current >> 32 == step {
            let unclaimed = UInt32(truncatingIfNeeded: current)
            guard unclaimed > 0 else { return }
            // Read before the claim: if it succeeds, a chunk was unclaimed until now, so run() was waiting for it, and
            // these were the step's own.
            let count = count.load(ordering: .relaxed)
            let job = job.load(ordering: .relaxed)
            let (claimed, found) = ticket.compareExchange(
                expected: current, desired: current &- 1, ordering: .acquiringAndReleasing)
            guard claimed else {
                current = found
                continue
            }
            let index = Int(count - unclaimed)
            if let pointer = unsafe UnsafeRawPointer(bitPattern: job) {
                unsafe Unmanaged<Job>.fromOpaque(pointer)._withUnsafeGuaranteedRef { $0.body(index, worker) }
            }
            done.add(1, ordering: .releasing)
            current = ticket.load(ordering: .acquiring)
        }
    }

    /// Waits, first in a loop, then asleep, until there is a step other than `seen` or the pool stops.
    private func waitForStep(after seen: UInt64) -> UInt64 {
        for _ in 0..<Self.spins {
            let step = ticket.load(ordering: .acquiring) >> 32
            if step != seen || isStopping.load(ordering: .relaxed) { return step }
            Kernels.pause()
        }
        unsafe pthread_mutex_lock(mutex)
        sleepers.add(1, ordering: .sequentiallyConsistent)
        while ticket.load(ordering: .sequentiallyConsistent) >> 32 == seen,
            !isStopping.load(ordering: .sequentiallyConsistent)
        {
            unsafe pthread_cond_wait(wake, mutex)
        }
        sleepers.subtract(1, ordering: .sequentiallyConsistent)
        unsafe pthread_mutex_unlock(mutex)
        return ticket.load(ordering: .acquiring) >> 32
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
