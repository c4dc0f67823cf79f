// Package bench measures the real binary. Its benchmarks are run by hand, on a
// machine that does nothing else:
//
//	go test ./bench -run '^$' -bench AccessLog -benchtime 1x -timeout 1h
//	go test ./bench -run '^$' -bench Sweep -benchtime 1x -timeout 1h
//	go test ./bench -run '^$' -bench Big -benchtime 1x -timeout 2h
//
// What they claim is a ratio of two numbers that were measured in one run. The
// package knows the program by its wire; only to fill a store with objects of an
// earlier time does it write one itself, before the program starts.
//
// The command in table/ compares it with other servers: make bench.
package bench
