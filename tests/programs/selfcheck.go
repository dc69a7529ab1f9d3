// SPDX-License-Identifier: MIT
//
// selfcheck: 16 goroutines that allocate, hash, talk through channels and sockets, and
// are preempted in tight loops by SIGURG; beside them a collector that never rests, and
// now and then a program started by vfork.
//
//	selfcheck COUNTER STOP [SEED]
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	goroutines = 16
	keys       = 8
	kept       = 100
	keptBytes  = 20000
)

var (
	seed     uint64 = 1
	done     uint64
	programs uint64
	stop     int32
	expected [keys][32]byte
)

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func wrong(format string, args ...interface{}) {
	fmt.Printf("wrong: "+format+"\n", args...)
	os.Exit(1)
}

type node struct {
	key         uint64
	left, right *node
}

func (n *node) insert(key uint64) *node {
	if n == nil {
		return &node{key: key}
	}
	if key < n.key {
		n.left = n.left.insert(key)
	} else {
		n.right = n.right.insert(key)
	}
	return n
}

func (n *node) sum() uint64 {
	if n == nil {
		return 7
	}
	return mix(n.left.sum()*31 ^ n.key ^ n.right.sum())
}

// No call in the loop: only a signal can take the processor away from it.
func tight(x uint64, rounds int) uint64 {
	for i := 0; i < rounds; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// work depends on its key alone.
func work(key uint64) [32]byte {
	words := map[string]int{}
	var blocks [][]byte
	var tree *node
	var number [8]byte
	h := key
	sha := sha256.New()
	for i := 0; i < 300; i++ {
		h = mix(h)
		words["w"+strconv.Itoa(int(h&127))] += i
		blocks = append(blocks, bytes.Repeat([]byte{byte(h)}, int(h>>32&1023)))
		tree = tree.insert(h)
	}
	sort.Slice(blocks, func(i, j int) bool { return bytes.Compare(blocks[i], blocks[j]) < 0 })
	for _, b := range blocks {
		sha.Write(b)
	}
	names := make([]string, 0, len(words))
	for w := range words {
		names = append(names, w)
	}
	sort.Strings(names)
	for _, w := range names {
		fmt.Fprint(sha, w, words[w])
	}
	binary.LittleEndian.PutUint64(number[:], tight(tree.sum()|1, 20000))
	sha.Write(number[:])
	var ret [32]byte
	copy(ret[:], sha.Sum(nil))
	return ret
}

type block struct {
	bytes []byte
	key   uint64
}

func newBlock(key uint64) *block {
	b := &block{make([]byte, keptBytes), key}
	for i := 0; i < keptBytes; i += 64 {
		b.bytes[i] = byte(mix(key + uint64(i)))
	}
	return b
}

func (b *block) check(what string) {
	if b == nil {
		return
	}
	for i := 0; i < keptBytes; i += 64 {
		if b.bytes[i] != byte(mix(b.key+uint64(i))) {
			wrong("%s, byte %d", what, i)
		}
	}
}

// echo sends a message through a pair of sockets, so that the poller is used.
func echo(a, b net.Conn, text []byte) {
	got := make([]byte, len(text))
	ended := make(chan error, 1)
	go func() {
		_, err := a.Write(text)
		ended <- err
	}()
	for n := 0; n < len(got); {
		m, err := b.Read(got[n:])
		if err != nil {
			wrong("read: %v", err)
		}
		n += m
	}
	if err := <-ended; err != nil {
		wrong("write: %v", err)
	}
	if !bytes.Equal(text, got) {
		wrong("a message came back as another one")
	}
}

func pair() (net.Conn, net.Conn) {
	l, err := net.Listen("unix", fmt.Sprintf("@selfcheck-%d-%d", os.Getpid(), time.Now().UnixNano()))
	if err != nil {
		wrong("listen: %v", err)
	}
	defer l.Close()
	a, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		wrong("dial: %v", err)
	}
	b, err := l.Accept()
	if err != nil {
		wrong("accept: %v", err)
	}
	return a, b
}

func run(me uint64, next chan<- uint64) {
	var holds [kept]*block
	state := mix(seed + me)
	a, b := pair()
	mine := uint64(0)
	for atomic.LoadInt32(&stop) == 0 {
		state = mix(state)
		k := state % keys
		if work(seed*1000+k) != expected[k] {
			wrong("digest of key %d in goroutine %d", k, me)
		}
		slot := state >> 8 % kept
		slot %= kept
		holds[slot].check("a kept block")
		holds[slot] = newBlock(state)
		if state&7 == 0 {
			echo(a, b, newBlock(state).bytes)
		}
		mine++
		atomic.AddUint64(&done, 1)
	}
	for _, h := range holds {
		h.check("a kept block, at the end")
	}
	next <- mine
}

func collect() {
	for atomic.LoadInt32(&stop) == 0 {
		runtime.GC()
		time.Sleep(30 * time.Millisecond)
	}
}

// A child shares our memory until it executes its program.
func spawn() {
	for atomic.LoadInt32(&stop) == 0 {
		out, err := exec.Command("/bin/echo", "-n", "here").Output()
		if err != nil || string(out) != "here" {
			wrong("echo: %v, %q", err, out)
		}
		programs++
		time.Sleep(100 * time.Millisecond)
	}
}

func main() {
	if len(os.Args) > 3 {
		seed, _ = strconv.ParseUint(os.Args[3], 10, 64)
	}
	runtime.GOMAXPROCS(4)
	for k := range expected {
		expected[k] = work(seed*1000 + uint64(k))
	}
	counter, err := os.Create(os.Args[1])
	if err != nil {
		wrong("%v", err)
	}
	next := make(chan uint64, goroutines)
	for i := 0; i < goroutines; i++ {
		go run(uint64(i), next)
	}
	var others sync.WaitGroup
	for _, f := range []func(){collect, spawn} {
		f := f
		others.Add(1)
		go func() { f(); others.Done() }()
	}
	fmt.Printf("ready pid=%d\n", os.Getpid())
	for atomic.LoadInt32(&stop) == 0 {
		time.Sleep(20 * time.Millisecond)
		counter.WriteAt([]byte(fmt.Sprintf("%020d\n", atomic.LoadUint64(&done))), 0)
		if _, err := os.Stat(os.Args[2]); err == nil {
			atomic.StoreInt32(&stop, 1)
		}
	}
	sum := uint64(0)
	for i := 0; i < goroutines; i++ {
		sum += <-next
	}
	others.Wait()
	if sum != atomic.LoadUint64(&done) {
		wrong("%d rounds told, %d counted", sum, done)
	}
	fmt.Printf("ok ops=%d programs=%d\n", sum, programs)
}
