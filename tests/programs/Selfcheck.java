// SPDX-License-Identifier: MIT
//
// Selfcheck: threads that allocate, hash, sort, lock, park, and hold memory they check
// again and again; whatever a garbage collector moves, its bytes must not change.
//
//	java Selfcheck.java COUNTER STOP [SEED]
//
// COUNTER is rewritten with the work done; the work ends when the file STOP appears.
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.CRC32;

public class Selfcheck {
	static final int THREADS = 4, KEYS = 8, KEPT = 300, KEPT_BYTES = 20000;
	static final AtomicLong done = new AtomicLong(), nulls = new AtomicLong();
	static final ReentrantLock lock = new ReentrantLock();
	static long guarded, guardedTwice;
	static volatile boolean stop;
	static long seed = 1;
	static long[] expected;

	static long mix(long x) {
		x += 0x9e3779b97f4a7c15L;
		x = (x ^ x >>> 30) * 0xbf58476d1ce4e5b9L;
		x = (x ^ x >>> 27) * 0x94d049bb133111ebL;
		return x ^ x >>> 31;
	}

	static void wrong(String words) {
		System.out.println("wrong: " + words);
		System.out.flush();
		Runtime.getRuntime().halt(1);
	}

	static final class Node {
		final long key;
		Node left, right;

		Node(long key) { this.key = key; }
	}

	static Node insert(Node at, long key) {
		if (at == null)
			return new Node(key);
		if (key < at.key)
			at.left = insert(at.left, key);
		else
			at.right = insert(at.right, key);
		return at;
	}

	static long sum(Node at) {
		return at == null ? 7 : mix(sum(at.left) * 31 ^ at.key ^ sum(at.right));
	}

	// A load from address 0: SIGSEGV, which the machine turns into an exception.
	static int length(Object[] v, int i) {
		try {
			return v[i].hashCode() & 0;
		} catch (NullPointerException e) {
			nulls.incrementAndGet();
			return 3;
		}
	}

	// Depends on its key alone.
	static long work(long key) {
		HashMap<String, Integer> words = new HashMap<>();
		TreeMap<Long, byte[]> blocks = new TreeMap<>();
		List<Long> boxed = new ArrayList<>();
		Object[] holes = new Object[4];
		Node tree = null;
		long h = key;

		for (int i = 0; i < 400; i++) {
			h = mix(h);
			words.merge("w" + (h & 127), i, Integer::sum);
			byte[] block = new byte[(int)(h >>> 32 & 2047)];
			Arrays.fill(block, (byte)h);
			blocks.put(h, block);
			boxed.add(h ^ i);
			tree = insert(tree, h);
			if (i % 100 == 0)
				h += length(holes, i / 100);
		}
		boxed.sort(null);
		CRC32 crc = new CRC32();
		for (byte[] b : blocks.values())
			crc.update(b);
		for (String w : new TreeMap<>(words).keySet())
			crc.update((w + words.get(w)).getBytes(StandardCharsets.UTF_8));
		for (Long b : boxed)
			h = mix(h ^ b);
		return h ^ crc.getValue() ^ sum(tree);
	}

	static void fill(byte[] b, long key) {
		for (int i = 0; i < b.length; i += 8) {
			key = mix(key);
			b[i] = (byte)key;
		}
	}

	static void check(byte[] b, long key, String what) {
		for (int i = 0; i < b.length; i += 8) {
			key = mix(key);
			if (b[i] != (byte)key)
				wrong(what + " at " + i);
		}
	}

	static void check(ByteBuffer b, long key, String what) {
		for (int i = 0; i < b.capacity(); i += 4096)
			if (b.getLong(i) != mix(key + i))
				wrong(what + " at " + i);
	}

	static void fill(ByteBuffer b, long key) {
		for (int i = 0; i < b.capacity(); i += 4096)
			b.putLong(i, mix(key + i));
	}

	static void run(int me, MappedByteBuffer file) {
		byte[][] kept = new byte[KEPT][];
		long[] keys = new long[KEPT];
		ByteBuffer direct = ByteBuffer.allocateDirect(1 << 20);
		long state = mix(seed + me), directKey = state, mine = 0;

		fill(direct, directKey);
		fill(file, directKey);
		while (!stop) {
			state = mix(state);
			int k = (int)(state >>> 1) % KEYS;
			k = k < 0 ? -k : k;
			if (work(seed * 1000 + k) != expected[k])
				wrong("digest of key " + k + " in thread " + me);
			int slot = (int)Math.floorMod(state >>> 7, (long)KEPT);
			if (kept[slot] != null)
				check(kept[slot], keys[slot], "kept block " + slot);
			keys[slot] = state;
			kept[slot] = new byte[KEPT_BYTES];
			fill(kept[slot], state);
			if ((state & 15) == 0) {
				check(direct, directKey, "direct memory");
				check(file, directKey, "mapped file");
				directKey = state;
				fill(direct, directKey);
				fill(file, directKey);
			}
			lock.lock();
			guarded++;
			guardedTwice += 2;
			lock.unlock();
			mine++;
			done.incrementAndGet();
		}
		for (int i = 0; i < KEPT; i++)
			if (kept[i] != null)
				check(kept[i], keys[i], "kept block " + i + ", at the end");
		if (mine == 0)
			wrong("thread " + me + " did nothing");
	}

	static MappedByteBuffer map(Path path, int bytes) throws Exception {
		try (RandomAccessFile f = new RandomAccessFile(path.toFile(), "rw")) {
			return f.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, bytes);
		}
	}

	public static void main(String[] args) throws Exception {
		Path counter = Path.of(args[0]), end = Path.of(args[1]);
		List<Thread> threads = new ArrayList<>();

		if (args.length > 2)
			seed = Long.parseLong(args[2]);
		expected = new long[KEYS];
		for (int k = 0; k < KEYS; k++)
			expected[k] = work(seed * 1000 + k);
		RandomAccessFile out = new RandomAccessFile(counter.toFile(), "rw");
		for (int i = 0; i < THREADS; i++) {
			int me = i;
			MappedByteBuffer file = map(Path.of(args[0] + ".map" + i), 1 << 20);
			Thread t = new Thread(() -> run(me, file), "worker-" + i);
			t.setUncaughtExceptionHandler((who, e) -> wrong(who.getName() + ": " + e));
			threads.add(t);
			t.start();
		}
		System.out.println("ready pid=" + ProcessHandle.current().pid());
		System.out.flush();
		while (!stop) {
			Thread.sleep(20);
			out.seek(0);
			out.write(String.format("%020d%n", done.get()).getBytes(StandardCharsets.US_ASCII));
			stop = Files.exists(end);
		}
		for (Thread t : threads)
			t.join();
		if (guarded != done.get() || guardedTwice != 2 * guarded)
			wrong("what the lock guards: " + guarded + " of " + done.get());
		System.out.println("ok ops=" + done.get() + " nulls=" + nulls.get());
	}
}
