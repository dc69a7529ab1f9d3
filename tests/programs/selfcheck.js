// SPDX-License-Identifier: MIT
//
// selfcheck: workers with buffers, maps, compiled hot loops, shared memory and timers;
// every result is compared with what it was before anybody watched.
//
//	node selfcheck.js COUNTER STOP [SEED]
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const zlib = require('zlib');

const WORKERS = 3, KEYS = 6, KEPT = 200, WORDS = 1024;

function wrong(words) {
	fs.writeSync(1, `wrong: ${words}\n`);
	process.kill(process.pid, 'SIGKILL');
}

// Integers of 32 bits: compiled to machine code after some rounds.
function step(x) {
	x = (x + 0x9e3779b9) | 0;
	x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
	x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
	return (x ^ (x >>> 16)) >>> 0;
}

// Depends on its key alone.
function work(key) {
	const hash = crypto.createHash('sha256');
	const map = new Map();
	const list = [];
	let h = step(key);
	for (let i = 0; i < 1500; i++) {
		h = step(h);
		map.set(`k${h % 512}`, { i, h, text: 'x'.repeat(h % 40) });
		list.push(h / 3.5);
	}
	list.sort((a, b) => a - b);
	hash.update(JSON.stringify([...map.entries()]));
	hash.update(Buffer.from(new Float64Array(list).buffer));
	const packed = zlib.deflateSync(Buffer.from(list.join()));
	if (zlib.inflateSync(packed).toString() !== list.join())
		wrong('inflate(deflate(x)) is not x');
	return hash.digest('hex');
}

function fill(words, key) {
	let h = key;
	for (let i = 0; i < words.length; i++) {
		h = step(h);
		words[i] = h;
	}
}

function check(words, key, what) {
	let h = key;
	for (let i = 0; i < words.length; i++) {
		h = step(h);
		if (words[i] !== h)
			wrong(`${what}, word ${i}`);
	}
}

function worker() {
	const { me, seed, expected, shared } = workerData;
	const cells = new Int32Array(shared);
	const kept = new Array(KEPT).fill(null);
	let state = step(seed + me), mine = 0;

	function round() {
		for (let n = 0; n < 4; n++) {
			state = step(state);
			const k = state % KEYS;
			if (work(seed * 100 + k) !== expected[k])
				wrong(`digest of key ${k} in worker ${me}`);
			const slot = step(state) % KEPT;
			if (kept[slot])
				check(kept[slot].words, kept[slot].key, `kept block ${slot}`);
			// Every other block lies outside V8's heap.
			const words = n % 2 ? new Uint32Array(WORDS) :
				new Uint32Array(Buffer.alloc(WORDS * 4).buffer, 0, WORDS);
			fill(words, state);
			kept[slot] = { words, key: state };
			mine++;
			Atomics.add(cells, 1, 1);
		}
		if (Atomics.load(cells, 0)) {
			for (const b of kept)
				if (b)
					check(b.words, b.key, 'a kept block, at the end');
			parentPort.postMessage(mine);
			return;
		}
		// Through the event loop: timers, epoll.
		if (mine % 16)
			setImmediate(round);
		else
			setTimeout(round, 1);
	}
	round();
}

function main() {
	const [counter, stop, seedText] = process.argv.slice(2);
	const seed = Number(seedText || 1);
	const shared = new SharedArrayBuffer(8);
	const cells = new Int32Array(shared);
	const expected = [];
	let left = WORKERS, sum = 0;

	for (let k = 0; k < KEYS; k++)
		expected.push(work(seed * 100 + k));
	const out = fs.openSync(counter, 'w');
	for (let me = 0; me < WORKERS; me++) {
		const w = new Worker(__filename, { workerData: { me, seed, expected, shared } });
		w.on('error', (e) => wrong(`worker ${me}: ${e.stack}`));
		w.on('message', (n) => {
			sum += n;
			if (--left)
				return;
			clearInterval(timer);
			if (sum !== Atomics.load(cells, 1))
				wrong(`${sum} rounds told, ${Atomics.load(cells, 1)} counted`);
			console.log(`ok ops=${sum}`);
		});
	}
	const timer = setInterval(() => {
		const line = String(Atomics.load(cells, 1)).padStart(20, '0') + '\n';
		fs.writeSync(out, line, 0);
		if (fs.existsSync(stop))
			Atomics.store(cells, 0, 1);
	}, 20);
	console.log(`ready pid=${process.pid}`);
}

if (isMainThread)
	main();
else
	worker();
