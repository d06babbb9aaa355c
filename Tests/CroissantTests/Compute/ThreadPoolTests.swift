import Croissant
import Dispatch
import Synchronization
import Testing

/// Counters that the workers of a pool write to.
private final class Tally: Sendable {
    private let counts: Mutex<[Int]>
    private let overlaps = Mutex(0)
    private let busy: Mutex<Set<Int>>

    init(_ count: Int) {
        counts = Mutex([Int](repeating: 0, count: count))
        busy = Mutex([])
    }

    /// How often each index was seen.
    var values: [Int] { counts.withLock { $0 } }
    /// Calls that began while another one with the same worker number was running.
    var collisions: Int { overlaps.withLock { $0 } }

    func count(_ index: Int) { counts.withLock { $0[index] += 1 } }

    func enter(_ worker: Int) {
        if !busy.withLock({ $0.insert(worker).inserted }) { overlaps.withLock { $0 += 1 } }
    }

    func leave(_ worker: Int) { busy.withLock { _ = $0.remove(worker) } }
}

/// One atomic for each index: cheap enough for many short steps.
private final class Flags: Sendable {
    private let words: [Word]

    private final class Word: Sendable {
        let value = Atomic<Int>(0)
    }

    init(_ count: Int) { words = (0..<count).map { _ in Word() } }

    func add(_ index: Int) { words[index].value.add(1, ordering: .relaxed) }
    func reset() { for word in words { word.value.store(0, ordering: .relaxed) } }
    func allAre(_ value: Int, below count: Int) -> Bool {
        words.enumerated().allSatisfy { $1.value.load(ordering: .relaxed) == ($0 < count ? value : 0) }
    }
}

@Suite("A thread pool runs every chunk exactly once")
struct ThreadPoolTests {
    @Test(
        "every index is called once, over thousands of steps of changing length, in turn or in ranges",
        arguments: [1, 2, 4, 7])
    func everyIndexOnce(threads: Int) {
        let pool = ThreadPool(threadCount: threads)
        #expect(pool.threadCount == threads)
        let flags = Flags(64)
        var generator = SeededGenerator(seed: UInt64(threads))
        var wrong = 0
        for step in 0..<4000 {
            // Long steps after short ones: what a late worker knows of the last step must not fit the next.
            let count =
                step % 2 == 0 ? Int.random(in: 2...4, using: &generator) : Int.random(in: 0...64, using: &generator)
            flags.reset()
            if step % 3 == 0 {
                pool.parallelFor(count) { index, _ in flags.add(index) }
            } else {
                pool.parallelRanges(count) { indices, _ in
                    for index in indices { flags.add(index) }
                }
            }
            if !flags.allAre(1, below: count) { wrong += 1 }
        }
        #expect(wrong == 0)
    }

    @Test(
        "worker numbers are below the thread count, and no two calls at the same time share one",
        arguments: [1, 2, 4, 7])
    func workerNumbers(threads: Int) {
        let pool = ThreadPool(threadCount: threads)
        let workers = Tally(threads)
        for _ in 0..<200 {
            pool.parallelFor(40) { _, worker in
                workers.enter(worker)
                workers.count(worker)
                workers.leave(worker)
            }
        }
        #expect(workers.collisions == 0)
        #expect(workers.values.reduce(0, +) == 200 * 40)
    }

    @Test("steps of two callers follow one another, each complete when its call returns")
    func twoCallers() {
        let pool = ThreadPool(threadCount: 3)
        let failures = Mutex(0)
        DispatchQueue.concurrentPerform(iterations: 2) { caller in
            let flags = Flags(32)
            for step in 0..<1000 {
                let count = (step * 7 + caller) % 32
                flags.reset()
                pool.parallelFor(count) { index, _ in flags.add(index) }
                if !flags.allAre(1, below: count) { failures.withLock { $0 += 1 } }
            }
        }
        #expect(failures.withLock { $0 } == 0)
    }

    @Test("a pool may end right after a step, and without any")
    func endsAtOnce() {
        let total = Atomic<Int>(0)
        for round in 0..<200 {
            let pool = ThreadPool(threadCount: 1 + round % 5)
            if round % 4 != 0 { pool.parallelFor(8) { _, _ in total.add(1, ordering: .relaxed) } }
        }
        #expect(total.load(ordering: .relaxed) == 150 * 8)
    }

    @Test("workers that went to sleep wake up for the next step")
    func wakesUp() async throws {
        let pool = ThreadPool(threadCount: 4)
        for _ in 0..<5 {
            // Far longer than workers wait in their loop.
            try await Task.sleep(for: .milliseconds(60))
            let workers = Tally(4)
            let clock = ContinuousClock()
            let begin = clock.now
            pool.parallelFor(8) { _, worker in
                workers.count(worker)
                let end = clock.now + .milliseconds(20)
                while clock.now < end { HostThread.yield() }
            }
            #expect(workers.values.reduce(0, +) == 8)
            // Alone, the caller would have needed 160 ms.
            #expect(workers.values.filter { $0 > 0 }.count > 1, "only the caller worked")
            #expect(clock.now - begin < .seconds(5))
        }
    }

    @Test("a chunk that takes long delays the end of its step, not the other chunks")
    func slowChunk() {
        let pool = ThreadPool(threadCount: 3)
        let order = Mutex<[Int]>([])
        pool.parallelFor(50) { index, _ in
            if index == 0 {
                let deadline = ContinuousClock.now + .seconds(10)
                while order.withLock({ $0.count }) < 49, ContinuousClock.now < deadline { HostThread.yield() }
            }
            order.withLock { $0.append(index) }
        }
        let finished = order.withLock { $0 }
        #expect(finished.count == 50 && Set(finished).count == 50)
        #expect(finished.last == 0, "the other chunks waited for the slow one")
    }

    @Test("every thread begins with a share of its own, and goes through it in ranges that follow one another")
    func sharesInRanges() {
        let pool = ThreadPool(threadCount: 2)
        let ranges = Mutex<[Int: [Range<Int>]]>([:])
        pool.parallelRanges(512) { indices, worker in
            let begun = ranges.withLock {
                $0[worker, default: []].append(indices)
                return $0.count
            }
            // Nobody takes a second range before both have taken one.
            let deadline = ContinuousClock.now + .seconds(10)
            while begun == 1, ranges.withLock({ $0.count }) < 2, ContinuousClock.now < deadline { HostThread.yield() }
        }
        let own = ranges.withLock { $0 }
        #expect(own[0]?.first == 0..<128 && own[1]?.first == 256..<384, "half of a half each")
        #expect(own.values.joined().flatMap { $0 }.sorted() == Array(0..<512))
        for (worker, ranges) in own {
            // What was taken from the other thread's share may lie anywhere.
            let share = worker == 0 ? 0..<256 : 256..<512
            let inside = ranges.filter { share.contains($0.lowerBound) }
            #expect(inside == inside.sorted { $0.lowerBound < $1.lowerBound }, "thread \(worker) went back")
        }
    }

    @Test("who is through with its own share takes from another one")
    func takesFromOthers() {
        let pool = ThreadPool(threadCount: 2)
        let done = Mutex<[Int]>([])
        pool.parallelRanges(64) { indices, _ in
            if indices.lowerBound == 0 {
                // The first range of one share is not left before all that is not in it is done.
                let deadline = ContinuousClock.now + .seconds(10)
                while done.withLock({ $0.count }) < 64 - indices.count, ContinuousClock.now < deadline {
                    HostThread.yield()
                }
            }
            done.withLock { $0.append(contentsOf: indices) }
        }
        let order = done.withLock { $0 }
        #expect(order.count == 64 && Set(order).count == 64)
        #expect(Array(order.suffix(16)) == Array(0..<16), "the rest of a share waited for its thread")
    }

    @Test("chunks are begun from the first to the last")
    func beginsInOrder() {
        // One thread's own chunks come in ascending order whatever the others do.
        let pool = ThreadPool(threadCount: 2)
        let ranks = Mutex<[Int: [Int]]>([:])
        pool.parallelFor(500) { index, worker in
            ranks.withLock { $0[worker, default: []].append(index) }
        }
        let own = ranks.withLock { $0 }
        #expect(own.values.flatMap { $0 }.sorted() == Array(0..<500))
        for indices in own.values { #expect(indices == indices.sorted()) }
    }
}
