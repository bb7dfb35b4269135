#!/usr/bin/env python3
"""Tests of the program `perilune`: its options, scripts and the prompt.

usage: test_cli.py [PROGRAM]

PROGRAM is build/perilune beside this source tree if it is not given. The prompt runs in a
real pseudo-terminal. Prints a line for each test and, at the end, "N passed, N failed".
"""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = str(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "perilune").resolve())
PATIENCE = 30  # seconds until something that does not happen counts as a failure

home = None  # a fresh folder for each test: the home and the working folder of the program


#
# Helpers
#


def environment(**more):
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PERILUNE", "LUA", "XDG"))}
    return {**keep, "HOME": home, "TERM": "xterm", "LC_ALL": "C.UTF-8", **more}


class Result:
    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr


def run(*args, stdin="", **env):
    """Runs the program without a terminal."""
    return Result(subprocess.run([PROGRAM, *args], input=stdin, capture_output=True, text=True,
                                 cwd=home, env=environment(**env), timeout=2 * PATIENCE))


def write(name, text):
    path = Path(home, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name


def equal(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def inside(part, whole):
    assert part in whole, f"{part!r} is not in {whole!r}"


ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>()][A-Z0-9]?|[\x07\x0e\x0f]")


class Terminal:
    """The program in a pseudo-terminal of 80 columns. A test that leaves it at the prompt ends it
    by Ctrl-D, so that it also tidies up, which the leak sanitizer looks at."""

    def __init__(self, *args, prompt="> ", **env):
        self.seen = ""
        self.status = None
        self.edits = env.get("TERM") != "dumb"
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(home)
            os.execve(PROGRAM, [PROGRAM, *args], environment(COLUMNS="80", **env))
        if prompt is not None:
            self.wait(prompt)
            self.ready()

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        try:
            if error is None and self.status is None:
                self.send("\x04")
                assert self.finish() == 0, self.text()
        finally:
            if self.status is None:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            os.close(self.fd)

    def read(self, seconds):
        """Reads what comes within some seconds; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def text(self):
        return ESCAPE.sub("", self.seen).replace("\r", "")

    def wait(self, part):
        """Reads until the part has come, and returns what came before it."""
        stop = time.monotonic() + PATIENCE
        alive = True
        while part not in self.text():
            assert alive and time.monotonic() < stop, f"{part!r} did not come after {self.text()!r}"
            alive = self.read(0.1)
        before, after = self.text().split(part, 1)
        self.seen = after
        return before

    def ready(self):
        """Waits until the program edits lines: it does so a little after its prompt."""
        stop = time.monotonic() + PATIENCE
        while self.edits and termios.tcgetattr(self.fd)[3] & termios.ICANON:
            assert time.monotonic() < stop, "it does not edit lines"
            time.sleep(0.001)

    def send(self, text):
        os.write(self.fd, text.encode())

    def interrupt(self):
        """Ctrl-C, when the program certainly waits or computes."""
        time.sleep(0.3)
        self.send("\x03")

    def line(self, text, prompt="\n> "):
        """Types a line, waits for the next prompt and returns what was printed."""
        self.send(text + "\n")
        self.wait("\n")
        return self.answer(prompt)

    def answer(self, prompt="\n> "):
        """What is printed until the next prompt, which begins a line."""
        self.seen = "\n" + self.seen
        text = self.wait(prompt)
        self.ready()
        return text.strip("\n")

    def finish(self):
        """Waits for the end of the program and returns its status."""
        stop = time.monotonic() + PATIENCE
        while self.read(0.1):
            assert time.monotonic() < stop, f"it did not end: {self.text()!r}"
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status


#
# Options
#


def test_e_runs_code_with_the_library_in_pl():
    equal(run("-e", "print(1 + 1)").out, "2\n")
    equal(run("-eprint(2)").out, "2\n")
    equal(run("-e", "print(pl.zeros(2, 3):numel())").out, "6\n")


def test_e_keeps_globals_for_the_next_e_and_the_script():
    write("s.lua", "print(x)")
    equal(run("-e", "x = 1", "-e", "x = x + 1", "s.lua").out, "2\n")


def test_l_requires_a_module():
    equal(run("-l", "m=math", "-e", "print(m.pi > 3)").out, "true\n")
    write("mine.lua", "return {answer = 42}")
    equal(run("-l", "mine", "-e", "print(mine.answer)").out, "42\n")
    missing = run("-l", "no.such.module")
    equal(missing.status, 1)
    inside("module 'no.such.module' not found", missing.err)


def test_j_sets_the_threads():
    equal(run("-j", "1", "-e", "print(pl.threads())").out, "1\n")
    equal(run("-j2", "-e", "print(pl.threads())").out, "2\n")
    for wrong in "0", "x", "1x", "":
        bad = run("-j", wrong)
        equal(bad.status, 1)
        inside("-j needs a number of threads", bad.err)


def test_bound_threads_have_all_processors():
    count = "print(pl.threads())"
    free = run("-e", count).out
    for binding in {"OMP_PROC_BIND": "true"}, {"OMP_PLACES": "cores"}, {"GOMP_CPU_AFFINITY": "0-999"}:
        equal(run("-e", count, **binding).out, free)


def test_fewer_threads_than_promised():
    product = "print(pl.bmm(pl.randn(2, 300, 64), pl.randn(2, 64, 300)):size(2))"
    for less in {"OMP_DYNAMIC": "true"}, {"OMP_THREAD_LIMIT": "1"}, {"OMP_MAX_ACTIVE_LEVELS": "0"}:
        equal(run("-j", "2", "-e", product, **less).out, "300\n")


def test_v_prints_the_version():
    first = run("-v").out
    assert re.match(r"Perilune \d+\.\d+\.\d+, Lua 5\.4", first), first
    equal(run("-v", "-e", "print(1)").out, first + "1\n")


def test_W_turns_warnings_on():
    equal(run("-e", "warn('careful')").err, "")
    equal(run("-W", "-e", "warn('care', 'ful')").err, "warning: careful\n")
    equal(run("-W", "-e", "warn('@off') warn('x')").err, "")


def test_help_and_version():
    text = run("--help")
    equal((text.status, text.err), (0, ""))
    for option in "-e", "-i", "-l", "-j", "-v", "-W", "--help", "--version", "--":
        inside(f"  {option}", text.out)
    version = run("--version")
    equal(version.status, 0)
    for word in "Perilune", "Lua", "BLAS", "instructions", "real", "threads":
        inside(word, version.out)


def test_profile_is_printed_at_the_end():
    work = "local pl = require 'perilune'; pl.rand(9, 9):matmul(pl.rand(9, 9)); print 'done' "
    done = run("--profile", write("a.lua", work))
    equal(done.out, "done\n")
    inside("matmul", done.err)
    inside("elsewhere: Lua, files, waiting", done.err)
    failed = run("--profile", write("b.lua", work + "error 'oops'"))
    equal(failed.status, 1)
    inside("oops", failed.err)
    inside("matmul", failed.err)
    left = run("--profile", write("c.lua", work + "os.exit(3)"))
    equal(left.status, 3)
    equal(left.err.count("matmul"), 1)


def test_sandbox():
    folder = os.path.join(home, "box")
    os.makedirs(folder, exist_ok=True)
    save = "local pl = require 'perilune'; print((pl.save(%r, {1})))" % os.path.join(folder, "x.safetensors")
    equal(run("--sandbox=" + folder, write("save.lua", save)).out, "true\n")
    equal(run("--sandbox", write("save.lua", save)).out, "nil\n")
    equal(run("--sandbox=" + folder, "-e", "print(io.open '/etc/passwd', io.popen)").out.split()[0], "nil")
    write("beside.lua", "return 'beside'")
    equal(run("--sandbox", write("a.lua", "print(require 'beside', (io.open('b.lua', 'w')))")).out,
          "beside\tnil\n")
    bad = run("--sandbox=" + os.path.join(home, "nowhere"), "-e", "")
    equal(bad.status, 1)
    inside("cannot open the folder", bad.err)


def test_limits():
    for option, amount, code in (("--memory", "40M", "local t = {} while true do t[#t + 1] = ('x'):rep(#t) end"),
                                 ("--time", "0.1", "while true do end"),
                                 ("--files", "3", "local t = {} while true do t[#t + 1] = io.open '/' end"),
                                 ("--depth", "50", "local function f() return 1 + f() end f()")):
        bad = run(option, amount, write("a.lua", code))
        equal(bad.status, 1)
        inside("the limit of", bad.err)
        equal(run(option, amount, write("a.lua", "print 'within'")).out, "within\n")


def test_wrong_options_are_refused():
    for args in (["-x"], ["--nothing"], ["-ifoo"], ["-e"], ["-l"], ["-j"], ["--sandbox="], ["--sandboxes"],
                 ["--memory"], ["--memory", "much"], ["--memory", "2T"], ["--time", "0"], ["--time", "-1"],
                 ["--files"], ["--files", "many"], ["--depth", "-1"]):
        bad = run(*args)
        equal(bad.status, 1)
        equal(bad.out, "")
        inside("usage: perilune", bad.err)


def test_double_dash_ends_the_options():
    write("-v", "print(...)")
    equal(run("--", "-v", "-e").out, "-e\n")


def test_init_variable():
    equal(run("-e", "print(x)", PERILUNE_INIT="x = 7").out, "7\n")
    write("init.lua", "x = 8")
    equal(run("-e", "print(x)", PERILUNE_INIT="@init.lua").out, "8\n")
    bad = run("-e", "print(x)", PERILUNE_INIT="x =")
    equal((bad.status, bad.out), (1, ""))
    inside("PERILUNE_INIT", bad.err)


#
# Scripts
#


def test_script_arguments():
    write("s.lua", "print(select('#', ...), ...) print(arg[0], arg[1], arg[2], arg[3], arg[-1])")
    equal(run("s.lua", "a", "-e").out, f"2\ta\t-e\ns.lua\ta\t-e\tnil\t{PROGRAM}\n")


def test_standard_input_is_a_script():
    equal(run(stdin="print('hello')").out, "hello\n")
    equal(run("-", "a", "b", stdin="print(...)").out, "a\tb\n")
    equal(run("-e", "print(1)", stdin="print(2)").out, "1\n")


def test_modules_beside_the_script_are_found():
    write("task/model.lua", "return {name = 'model'}")
    write("task/run.lua", "print(require('model').name)")
    equal(run("task/run.lua").out, "model\n")


def test_exit_statuses():
    equal(run("-e", "x = 1").status, 0)
    equal(run("-e", "error('no')").status, 1)
    equal(run("-e", "os.exit(3)").status, 3)
    equal(run("-e", "os.exit(true)").status, 0)
    equal(run("-e", "os.exit(false)").status, 1)
    equal(run("-e", "x = = 1").status, 1)
    equal(run("missing.lua").status, 1)
    inside("cannot open missing.lua", run("missing.lua").err)


def test_errors_go_to_stderr_with_a_traceback():
    write("s.lua", "local function f() error('boom') end\nprint(1)\nf()\n")
    bad = run("s.lua")
    equal(bad.out, "1\n")
    assert bad.err.startswith("perilune: s.lua:1: boom\nstack traceback:\n"), bad.err
    inside("s.lua:3: in main chunk", bad.err)


def test_errors_of_the_engine_blame_the_script():
    bad = run("-e", "\n\nlocal x = pl.zeros(2, 3):matmul(pl.zeros(2, 3))")
    inside("perilune: (command line):3: matmul:", bad.err)


def test_the_method_that_was_meant_is_named():
    net = "local net = require'perilune'.nn.Linear(1, 1) "
    inside("(method 'paramters'); did you mean 'parameters'?\nstack", run("-e", net + "net:paramters()").err)
    inside("(method 'qqqqqqqq')\nstack", run("-e", net + "net:qqqqqqqq()").err)


def test_syntax_errors_have_no_traceback():
    write("s.lua", "x = = 1")
    equal(run("s.lua").err, "perilune: s.lua:1: unexpected symbol near '='\n")


def test_error_objects():
    equal(run("-e", "error({message = 'use --data', traceback = false})").err,
          "perilune: use --data\n")
    inside("stack traceback", run("-e", "error({message = 'broken'})").err)
    equal(run("-e", "error(setmetatable({}, {__tostring = function() return 'odd' end}))").err,
          "perilune: odd\n")
    inside("(error object is a table value)", run("-e", "error({})").err)
    inside("(error object is a nil value)", run("-e", "error()").err)


def test_errors_inside_coroutines():
    write("s.lua", "local f = coroutine.wrap(function() error('inner') end)\nf()\n")
    bad = run("s.lua")
    equal(bad.status, 1)
    inside("s.lua:1: inner", bad.err)
    caught = run("-e", "print(coroutine.resume(coroutine.create(function() error('x', 0) end)))")
    equal(caught.out, "false\tx\n")
    dead = run("-e", "local f = coroutine.wrap(function() end) f() f()")
    inside("cannot resume dead coroutine", dead.err)


def test_a_closed_output_is_an_error():
    for args in (["-e", "print(1)"], ["-e", "print(1) os.exit(0)"], ["--version"], ["--help"],
                 ["-e", "for i = 1, 9999 do io.write('line ', i) end"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, *args], stdout=full, stderr=subprocess.PIPE, text=True,
                                  cwd=home, env=environment(), timeout=PATIENCE)
        equal((done.returncode, done.stderr), (1, "perilune: cannot write to standard output\n"))


#
# Ctrl-C in scripts
#


class Running:
    """The program in the background; ready when it has printed a line."""

    def __init__(self, code):
        self.process = subprocess.Popen([PROGRAM, "-e", code], stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.PIPE, cwd=home, env=environment())
        self.first = self.process.stdout.readline()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def finish(self):
        try:
            out, err = self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()
        return self.process.returncode, out, err


READY = "print('ready') io.stdout:flush() "


SVM = "local x, y = pl.randn(1500, 20), (pl.rand(1500) * 9 + 1):to('int32') "


def interrupted(code):
    running = Running(READY + code)
    time.sleep(0.2)
    running.interrupt()
    return running.finish()


def test_ctrl_c_stops_a_script():
    for code in ("while true do end",
                 "local x = pl.rand(600, 600) while true do x:matmul(x) end",
                 "coroutine.wrap(function() while true do end end)()",
                 "while true do pcall(function() while true do end end) end",
                 "local co = coroutine.create(function() while true do coroutine.yield() end end) "
                 "while true do coroutine.resume(co) end",
                 SVM + "while true do pl.learn.svm.fit(x, y) end",
                 SVM + "while true do pl.learn.svm.transduce(x, y, x, {features = 100}) end",
                 "table.sort({}, nil) for _ = 1, math.huge do pcall(error) end"):
        status, _, err = interrupted(code)
        equal(status, 130)
        inside("interrupted!", err)


def test_ctrl_c_stops_slow_calls_in_protected_loops():
    for work in ("pl.randn(1000, 1000)", "pl.ones(1000, 1000):totable()",
                 "coroutine.wrap(function() pl.randn(1000, 1000) end)()"):
        start = time.monotonic()
        status, _, err = interrupted("while true do pcall(function() %s end) end" % work)
        equal(status, 130)
        inside("interrupted!", err)
        assert time.monotonic() - start < 10, work


def test_ctrl_c_runs_close_handlers():
    status, out, _ = interrupted(
        "local x <close> = setmetatable({}, {__close = function() print('closed') end}) "
        "while true do end")
    equal((status, out), (130, "closed\n"))


def test_a_script_may_handle_ctrl_c():
    status, out, err = interrupted(
        "pl.handle_interrupts(true) while not pl.interrupted() do end print('saved')")
    equal((status, out, err), (0, "saved\n", ""))


def test_a_machine_in_training_may_handle_ctrl_c():
    status, out, err = interrupted(
        SVM + "pl.handle_interrupts(true) local model, text repeat "
        "model, text = pl.learn.svm.transduce(x, y, x, {features = 100}) until not model "
        "print(text)")
    equal((status, out, err), (0, "transduce: stopped before the end\n", ""))


def test_a_second_ctrl_c_kills():
    running = Running("pl.handle_interrupts(true) " + READY + "while true do end")
    running.interrupt()
    time.sleep(0.3)
    running.interrupt()
    equal(running.finish()[0], -signal.SIGINT)


#
# The prompt
#


def test_prompt_greets_and_leaves():
    with Terminal(prompt=None) as t:
        before = t.answer()
        inside("Perilune", before)
        inside("help()", before)
        t.send("\x04")
        equal(t.finish(), 0)


def test_results_are_printed():
    with Terminal() as t:
        equal(t.line("1 + 1"), "2")
        equal(t.line("'a', nil, {1, x = 2}"), '"a"\nnil\n{1, x = 2}')
        equal(t.line("x = 5"), "")
        equal(t.line("x"), "5")
        equal(t.line("print(x)"), "5")
        equal(t.line("return x + 1"), "6")
        equal(t.line(""), "")
        inside("real[2,2]", t.line("pl.zeros(2, 2)"))
        inside("Linear(2, 1)", t.line("pl.nn.Linear(2, 1)"))


def test_continuation_lines():
    with Terminal() as t:
        t.line("for i = 1, 2 do", "\n>> ")
        t.line("print(i)", "\n>> ")
        equal(t.line("end"), "1\n2")
        t.line("f = function()", "\n>> ")
        equal(t.line("return 3 end"), "")
        equal(t.line("f()"), "3")
        t.line("s = [[a", "\n>> ")
        t.line("b]]", "\n> ")
        equal(t.line("s"), '"a\\nb"')


def test_ctrl_d_ends_a_continuation_with_an_error():
    with Terminal() as t:
        t.line("x = (1 +", "\n>> ")
        t.send("\x04")
        inside("<eof>", t.answer())
        equal(t.line("7"), "7")


def test_errors_at_the_prompt():
    with Terminal() as t:
        inside("stdin:1: boom", t.line("error('boom')"))
        inside("unexpected symbol near '='", t.line("x = = 1"))
        inside("matmul:", t.line("pl.zeros(2, 3):matmul(pl.zeros(2, 3))"))
        inside("inner", t.line("coroutine.wrap(function() error('inner') end)()"))
        inside("interrupted", t.line("error('interrupted')"))
        equal(t.line("error({message = 'plain', traceback = false})"), "plain")
        inside("no value", t.line("error()") + "no value")
        equal(t.line("1"), "1")


def test_note_about_locals():
    with Terminal() as t:
        inside("locals do not survive", t.line("local y = 1"))
        equal(t.line("local z = 1"), "")
        equal(t.line("y"), "nil")


def test_own_prompts():
    with Terminal("-e", "_PROMPT, _PROMPT2 = '$ ', '.. '", "-i", prompt="$ ") as t:
        t.line("x = {", "\n.. ")
        equal(t.line("1}", "\n$ "), "")


def test_i_keeps_what_the_script_left():
    write("s.lua", "answer = 42")
    with Terminal("-i", "s.lua") as t:
        equal(t.line("answer"), "42")


def test_i_opens_the_prompt_after_an_error():
    write("s.lua", "answer = 42 error('late')")
    with Terminal("-i", "s.lua", prompt=None) as t:
        inside("late", t.answer())
        equal(t.line("answer"), "42")
        t.send("\x04")
        equal(t.finish(), 1)


def test_i_without_a_terminal():
    equal(run("-i", stdin="x = 2\nx * 3\n").out.splitlines()[1:], ["> > 6", "> "])


def test_exit_from_the_prompt():
    with Terminal() as t:
        t.send("os.exit(4)\n")
        equal(t.finish(), 4)


def test_prompt_without_editing():
    with Terminal(TERM="dumb") as t:
        equal(t.line("1 + 1"), "2")
        t.interrupt()
        t.answer()
        equal(t.line("2 + 2"), "4")


#
# Ctrl-C at the prompt
#


def test_ctrl_c_abandons_a_line():
    with Terminal() as t:
        t.send("x = 12")
        t.wait("12")
        t.interrupt()
        t.answer()
        equal(t.line("x"), "nil")
        t.line("y = {", "\n>> ")
        t.interrupt()
        t.answer()
        equal(t.line("y"), "nil")


def test_ctrl_c_stops_the_computation_only():
    with Terminal() as t:
        t.line("x = pl.rand(600, 600) kept = 1")
        for code in ("while true do end", "while true do x:matmul(x) end",
                     "coroutine.wrap(function() while true do end end)()",
                     "while true do pcall(function() while true do end end) end",
                     "pl.handle_interrupts() while not pl.interrupted() do end error('told')"):
            t.send(code + "\n")
            t.wait("\n")
            t.interrupt()
            answer = t.answer()
            assert "interrupted" in answer or "told" in answer, answer
        equal(t.line("kept"), "1")
        equal(t.line("x:numel()"), "360000")


def test_a_second_ctrl_c_kills_at_the_prompt_too():
    with Terminal() as t:
        t.send("pl.handle_interrupts() while true do end\n")
        t.wait("\n")
        t.interrupt()
        t.interrupt()
        equal(t.finish(), -signal.SIGINT)


#
# Completion, history, help
#


def test_tab_completes():
    with Terminal() as t:
        inside("Linear(2, 1)", t.line("pl.nn.Line\t(2, 1)"))
        equal(t.line("mat\t.floor(2.5)"), "2")
        t.line("net = pl.nn.Linear(2, 1)")
        equal(t.line("net:parameter_c\t()"), "3")
        t.line("x = pl.ones(3)")
        equal(t.line("x:num\t()"), "3")


def test_tab_lists_candidates():
    with Terminal() as t:
        t.send("string.f\t")
        inside("find", t.wait("format"))
        t.wait("string.f")
        t.send("or\t('%d', 7)\n")
        inside('"7"', t.answer())


def test_tab_completes_file_names():
    write("pictures/first image.png", "")
    with Terminal() as t:
        equal(t.line("'pic\tfir\t"), '"pictures/first image.png"')


def test_tab_indents_at_the_start_of_a_line():
    with Terminal() as t:
        equal(t.line("\t1 + 1"), "2")


def test_history():
    with Terminal() as t:
        t.line("first = 1")
        t.line("f = function()", "\n>> ")
        t.line("return 'a\\\\b' end")
        t.line("'last'")
        equal(t.line("\x1b[A"), '"last"')
    lines = Path(home, ".local/state/perilune/history").read_text().splitlines()
    equal(lines[:3], ["first = 1", "f = function()\\nreturn 'a\\\\\\\\b' end", "'last'"])
    with Terminal() as t:
        equal(t.line("\x1b[A"), '"last"')
        t.line("\x1b[A\x1b[A")
        equal(t.line("f()"), '"a\\\\b"')


def test_history_of_another_folder():
    state = str(Path(home, "state"))
    with Terminal(XDG_STATE_HOME=state) as t:
        t.line("there = 1")
    equal(Path(state, "perilune/history").read_text(), "there = 1\n")


def test_long_history_is_cut():
    write(".local/state/perilune/history", "".join(f"x = {i}\n" for i in range(2500)))
    with Terminal() as t:
        t.line("y = 1")
    lines = Path(home, ".local/state/perilune/history").read_text().splitlines()
    equal((lines[0], lines[-1], len(lines)), ("x = 1500", "y = 1", 1001))


def test_help_at_the_prompt():
    with Terminal() as t:
        inside("pl.nn", t.line("help()"))
        inside("n_in", t.line("help(pl.nn.Linear)"))
        inside("Did you mean", t.line("help 'conv2'"))


#
# All tests
#


def main():
    global home
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_") and callable(f)]
    failed = 0
    for name, test in tests:
        home = tempfile.mkdtemp(prefix="perilune-cli-")
        try:
            test()
            print(f"ok    {name}")
        except Exception:
            failed += 1
            print(f"FAIL  {name}\n{traceback.format_exc()}")
        finally:
            shutil.rmtree(home, ignore_errors=True)
        sys.stdout.flush()
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
