package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server's process and its children. Nil is none, which uses nothing.
type process struct{ cmd *exec.Cmd }

// tick is the unit of processor time in proc(5).
const tick = 10 * time.Millisecond

// start runs a program with its output in a file of the directory.
func start(dir string, cmd *exec.Cmd) (*process, error) {
	log, err := os.Create(filepath.Join(dir, filepath.Base(cmd.Path)+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.Stderr = log
	// A benchmark that dies takes its servers with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return &process{cmd}, cmd.Start()
}

func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}

// stat returns the fields of /proc/PID/stat that come after the name, of which
// the first is field 3 (proc(5)).
func stat(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

// tree returns the process and its children.
func (p *process) tree() []int {
	if p == nil {
		return nil
	}
	all := []int{p.cmd.Process.Pid}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		if f := stat(pid); len(f) > 1 && f[1] == strconv.Itoa(all[0]) {
			all = append(all, pid)
		}
	}
	return all
}

// cpu is the processor time that the tree has used, in user mode and in the
// kernel.
func (p *process) cpu() time.Duration {
	var ticks int
	for _, pid := range p.tree() {
		if f := stat(pid); len(f) > 12 {
			user, _ := strconv.Atoi(f[11])
			system, _ := strconv.Atoi(f[12])
			ticks += user + system
		}
	}
	return time.Duration(ticks) * tick
}

// peak is the most memory that the tree had resident, in bytes: the sum of the
// processes' peaks, in which what they share counts for each.
func (p *process) peak() int64 {
	var kib int64
	for _, pid := range p.tree() {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		if f := strings.Fields(rest); len(f) > 0 {
			n, _ := strconv.ParseInt(f[0], 10, 64)
			kib += n
		}
	}
	return kib << 10
}
