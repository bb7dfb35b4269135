/*
** main.c: the program `perilune`. It opens a host, reads its options as lua does, and
** runs scripts or the prompt; main only creates the state, the rest runs protected.
** Exit status: 0, or 1 after an error, or 130 after Ctrl-C, or what the script gave to
** os.exit.
*/
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <math.h>
#include <omp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perilune_host.h"
#include "repl.h"

enum { FAILED = 1, INTERRUPTED = 128 + SIGINT };

static const char usage[] =
    "usage: perilune [options] [script [args]]\n"
    "  -e code    run a string of Lua\n"
    "  -i         open the prompt after the script\n"
    "  -l mod     require a module into a global of its name; -l name=mod: of another\n"
    "  -j n       use n threads\n"
    "  -v         print the version\n"
    "  -W         turn warnings on\n"
    "  --sandbox[=folder]  the script may do little: read and write files below the folder;\n"
    "             without one write no files, and read those beside it\n"
    "  --memory m   with at most m bytes of memory: 500M, 2G\n"
    "  --time s     for at most s seconds\n"
    "  --files n    with at most n files open at a time\n"
    "  --depth n    with at most n calls within each other\n"
    "  --profile  print at the end where the time went, by op and by module\n"
    "  --help     print this and stop\n"
    "  --version  print all versions and what the kernels use, and stop\n"
    "  --         stop reading options\n"
    "  -          run standard input as the script\n"
    "Without a script, perilune opens the prompt on a terminal and runs its input elsewhere.\n"
    "PERILUNE_INIT holds code (or @file) to run first.\n";

/* Options with a long name and a value: --memory 2G, --time 10. */
enum { MEMORY, TIME, FILES, DEPTH, N_LIMITS };
static const char *const limit_options[N_LIMITS] = {"--memory", "--time", "--files", "--depth"};

typedef struct {
  pl_host *host;
  int argc;
  char **argv;
  int script; /* index of the script; argc: none */
  bool interactive, version, code, help, details, profile;
  bool sandbox;
  const char *folder;      /* of the sandbox, or NULL */
  double limits[N_LIMITS]; /* 0: none */
  int status;
} program;

/*
** Options
*/

static bool refuse(const char *why, const char *option) {
  fprintf(stderr, "perilune: %s '%s'\n%s", why, option, usage);
  return false;
}

/* The value of the option at *i, joined to it or the next argument; NULL if there is none. */
static const char *option_value(const program *p, int *i) {
  if (p->argv[*i][2] != '\0') return p->argv[*i] + 2;
  return *i + 1 < p->argc ? p->argv[++*i] : NULL;
}

static bool read_threads(const char *text) {
  char *end;
  long n = strtol(text, &end, 10);
  if (*end != '\0' || n < 1 || n > 4096) return refuse("-j needs a number of threads, not", text);
  pl_threads((int)n);
  return true;
}

static bool read_value(program *p, int *i) {
  const char *option = p->argv[*i], *value = option_value(p, i);
  if (value == NULL) return refuse("no value after", option);
  if (option[1] == 'e') p->code = true;
  return option[1] != 'j' || read_threads(value);
}

/* A number above 0, with k, M or G for bytes. */
static bool read_amount(const char *option, const char *text, const char *units, double *amount) {
  char *end;
  *amount = strtod(text, &end);
  const char *unit = *end ? strchr(units, *end) : NULL;
  if (unit) {
    for (const char *u = units; u <= unit; u++) *amount *= 1024;
    end++;
  }
  if (end != text && !*end && *amount > 0 && *amount < 1e15) return true;
  fprintf(stderr, "perilune: %s needs an amount, not '%s'\n%s", option, text, usage);
  return false;
}

/* Which of them it is, or N_LIMITS. */
static int limit_of(const char *option) {
  int i = 0;
  while (i < N_LIMITS && strcmp(option, limit_options[i]) != 0) i++;
  return i;
}

static bool is_limit(const char *option) { return limit_of(option) < N_LIMITS; }

static bool read_limit(program *p, int *i) {
  const char *option = p->argv[*i];
  const int which = limit_of(option);
  if (++*i == p->argc) return refuse("no value after", option);
  return read_amount(option, p->argv[*i], which == MEMORY ? "kMG" : "", &p->limits[which]);
}

static bool read_sandbox(program *p, const char *value) {
  p->sandbox = true;
  if (*value == '=') p->folder = value + 1;
  return !*value || *p->folder || refuse("no folder in", "--sandbox=");
}

static bool is_sandbox(const char *option) {
  static const char name[] = "--sandbox";
  const size_t n = sizeof name - 1;
  return strncmp(option, name, n) == 0 && (!option[n] || option[n] == '=');
}

/* An option without a value, or with one that is joined to it. */
static bool read_flag(program *p, const char *option) {
  if (is_sandbox(option)) return read_sandbox(p, strchr(option, '=') ? strchr(option, '=') : "");
  if (strcmp(option, "--help") == 0) p->help = true;
  else if (strcmp(option, "--version") == 0) p->details = true;
  else if (strcmp(option, "--profile") == 0) p->profile = true;
  else if (strcmp(option, "-i") == 0) p->interactive = p->version = true;
  else if (strcmp(option, "-v") == 0) p->version = true;
  else if (strcmp(option, "-W") != 0) return refuse("unknown option", option);
  return true;
}

static bool read_options(program *p) {
  int i = 1;
  for (; i < p->argc; i++) {
    const char *option = p->argv[i];
    if (option[0] != '-' || option[1] == '\0') break;
    if (strcmp(option, "--") == 0) {
      i++;
      break;
    }
    const bool good = is_limit(option)           ? read_limit(p, &i)
                      : strchr("elj", option[1]) ? read_value(p, &i)
                                                 : read_flag(p, option);
    if (!good) return false;
  }
  p->script = i;
  return true;
}

/* arg[0] is the script, or the program if there is none; what precedes has negative indices. */
static void set_args(lua_State *L, const program *p) {
  int zero = p->script < p->argc ? p->script : 0;
  lua_createtable(L, p->argc - zero, zero + 1);
  for (int i = 0; i < p->argc; i++) {
    lua_pushstring(L, p->argv[i]);
    lua_rawseti(L, -2, i - zero);
  }
  lua_setglobal(L, "arg");
}

/*
** Running
*/

static bool report(program *p) {
  p->status = pl_host_interrupted(p->host) ? INTERRUPTED : FAILED;
  fflush(stdout);
  fprintf(stderr, "perilune: %s\n", pl_host_error(p->host));
  return false;
}

static bool run_string(program *p, const char *code, const char *name) {
  return pl_host_run_string(p->host, code, name) || report(p);
}

static bool run_file(program *p, const char *path) {
  return pl_host_run_file(p->host, path) || report(p);
}

static bool run_init(program *p) {
  const char *init = getenv("PERILUNE_INIT");
  if (init == NULL) return true;
  return init[0] == '@' ? run_file(p, init + 1) : run_string(p, init, "=PERILUNE_INIT");
}

/* Sets global `name` to require(module); -l takes "module" or "name=module". */
static bool require_global(program *p, const char *name, const char *module) {
  lua_State *L = pl_host_lua(p->host);
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  if (!pl_host_call(p->host, 1, 1)) return report(p);
  lua_setglobal(L, name);
  return true;
}

static bool run_require(program *p, const char *text) {
  const char *equals = strchr(text, '=');
  char *name;
  bool good;
  if (equals == NULL) return require_global(p, text, text);
  name = strndup(text, (size_t)(equals - text));
  if (name == NULL) return false;
  good = require_global(p, name, equals + 1);
  free(name);
  return good;
}

/* Runs -e, -l and -W in their order. */
static bool run_options(program *p) {
  for (int i = 1; i < p->script; i++) {
    char letter = p->argv[i][1];
    const char *value;
    if (is_limit(p->argv[i]) && ++i) continue;
    if (letter == 'W') lua_warning(pl_host_lua(p->host), "@on", 0);
    if (letter == '\0' || strchr("elj", letter) == NULL) continue;
    value = option_value(p, &i);
    if (letter == 'e' && !run_string(p, value, "=(command line)")) return false;
    if (letter == 'l' && !run_require(p, value)) return false;
  }
  return true;
}

static bool run_script(program *p) {
  const char *path = p->argv[p->script];
  bool input = strcmp(path, "-") == 0 && strcmp(p->argv[p->script - 1], "--") != 0;
  return run_file(p, input ? NULL : path);
}

/* Keeps the function that ends the profile, and prints it, under the program's own address. */
static bool begin_profile(program *p) {
  lua_State *L = pl_host_lua(p->host);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "perilune.profile");
  if (!pl_host_call(p->host, 1, 1)) return report(p);
  lua_getfield(L, -1, "whole");
  lua_remove(L, -2);
  if (!pl_host_call(p->host, 0, 1)) return report(p);
  lua_rawsetp(L, LUA_REGISTRYINDEX, p);
  return true;
}

static bool end_profile(program *p) {
  lua_rawgetp(pl_host_lua(p->host), LUA_REGISTRYINDEX, p);
  return pl_host_call(p->host, 0, 0) || report(p);
}

/* The folder of the script, which the caller frees; "." if there is none. NULL without memory. */
static char *folder_of_script(const program *p) {
  const char *path = p->script < p->argc ? p->argv[p->script] : "";
  const char *slash = strrchr(path, '/');
  return slash ? strndup(path, slash > path ? (size_t)(slash - path) : 1) : strdup(".");
}

static bool has_limits(const program *p) {
  for (int i = 0; i < N_LIMITS; i++)
    if (p->limits[i] > 0) return true;
  return false;
}

/* Opens the host with what --sandbox, --memory and the like ask for. */
static pl_host *open_host(const program *p) {
  char *beside = folder_of_script(p);
  const char *read[] = {beside, NULL}, *write[] = {p->folder, NULL};
  const pl_policy policy = {.size = sizeof policy,
                            .read = p->folder ? NULL : read,
                            .write = write,
                            .allow = PL_ALLOW_CLOCK | PL_ALLOW_RANDOM | PL_ALLOW_INPUT};
  const pl_limits limits = {.size = sizeof limits,
                            .bytes = (int64_t)ceil(p->limits[MEMORY]),
                            .seconds = p->limits[TIME],
                            .files = (int64_t)ceil(p->limits[FILES]),
                            .depth = (int64_t)ceil(p->limits[DEPTH])};
  const pl_host_options options = {.size = sizeof options,
                                   .limits = has_limits(p) ? &limits : NULL,
                                   .policy = p->sandbox ? &policy : NULL};
  pl_host *host = pl_host_open(&options);
  free(beside);
  return host;
}

static void print_version(bool details) {
  if (!details) {
    printf("Perilune %s, %s, %s, %s, %d threads\n", PL_VERSION, LUA_RELEASE, pl_blas(), pl_isa(),
           pl_threads(0));
    return;
  }
  printf("Perilune     %s\n", PL_VERSION);
  printf("Lua          %s\n", LUA_RELEASE);
  printf("BLAS         %s\n", pl_blas());
  printf("instructions %s\n", pl_isa());
  printf("real         %s\n", sizeof(pl_real) == sizeof(double) ? "double" : "float");
  printf("threads      %d\n", pl_threads(0));
#ifdef PL_MINIMAL
  puts("without      plots, PNG and JPEG files, inductive SVMs, line editing (-Dminimal=true)");
#elif !defined PL_HAVE_JPEG
  puts("without      JPEG files (libjpeg)");
#endif
}

static void run_prompt(program *p) {
  if (isatty(STDIN_FILENO)) puts("help() explains, Tab completes, Ctrl-D leaves.");
  pl_repl(p->host);
}

static bool run_asked(program *p) {
  bool script = p->script < p->argc;
  bool idle = !script && !p->code && !p->version; /* nothing was asked for */
  bool prompt = p->interactive || (idle && isatty(STDIN_FILENO));
  if (p->version || prompt) print_version(false);
  if (!run_init(p)) return false;
  if ((p->code || prompt) && !require_global(p, "pl", "perilune") && !prompt) return false;
  if (!run_options(p)) return false;
  if (script && !run_script(p) && !p->interactive) return false;
  if (idle && !prompt) return run_file(p, NULL);
  if (prompt) run_prompt(p);
  return true;
}

static bool run_program(program *p) {
  set_args(pl_host_lua(p->host), p);
  pl_arm_interrupt(p->host);
  if (p->profile && !begin_profile(p)) return false;
  bool ok = run_asked(p);
  return (!p->profile || end_profile(p)) && ok;
}

static int protected_main(lua_State *L) {
  program *p = lua_touserdata(L, 1);
  lua_pop(L, 1);
  p->status = EXIT_SUCCESS;
  if (!run_program(p) && p->status == EXIT_SUCCESS) p->status = FAILED;
  return 0;
}

static int run(program *p) {
  lua_State *L = pl_host_lua(p->host);
  lua_pushcfunction(L, protected_main);
  lua_pushlightuserdata(L, p);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return p->status;
  fprintf(stderr, "perilune: %s\n", lua_tostring(L, -1));
  return FAILED;
}

/*
** Lets this thread run where OpenMP's threads may. Where the environment asks for bound threads,
** OpenMP has bound this one when it was loaded, and a program started by it would find one
** processor.
*/
static void unbind(void) {
  cpu_set_t all;
  CPU_ZERO(&all);
  for (int i = 0; i < omp_get_num_places(); i++) {
    int ids[CPU_SETSIZE];
    if (omp_get_place_num_procs(i) > CPU_SETSIZE) return;
    omp_get_place_proc_ids(i, ids);
    for (int k = 0; k < omp_get_place_num_procs(i); k++) CPU_SET(ids[k], &all);
  }
  if (CPU_COUNT(&all)) sched_setaffinity(0, sizeof all, &all);
}

/*
** What libraries read from the environment when they are loaded, and the program's own children
** need not have; it starts itself again with it, once, unless the environment already has it.
**   GOMP_SPINCOUNT: OpenMP's threads spin while they wait for each other, by default for
**     milliseconds: on a machine that does other work too, a training step took 20 times as long.
**     1,000 turns cost up to 4 % against 20,000 on quiet cores, and are five times as fast on busy
**     ones.
**   GLIBC_TUNABLES: memory in pages of 2 MB, also for what is smaller, where the system gives such
**     pages to those that ask: training steps that go through much memory take 2 to 5 % less time.
*/
static void set_up_environment(char **argv) {
  static const struct {
    const char *name, *value;
  } settings[] = {
      {"GOMP_SPINCOUNT", "1000"},
      {"GLIBC_TUNABLES", "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824"}};
  enum { N = sizeof settings / sizeof *settings };
  const char *again = getenv("PERILUNE_AGAIN"); /* says which of them were set */
  char path[PATH_MAX], set[N + 1] = "";
  if (again) {
    for (int i = 0; i < N && again[i]; i++)
      if (again[i] == '1') unsetenv(settings[i].name);
    unsetenv("PERILUNE_AGAIN");
    return;
  }
  for (int i = 0; i < N; i++) {
    const bool waits = i == 0 && getenv("OMP_WAIT_POLICY");
    set[i] = waits || getenv(settings[i].name) ? '0' : '1';
    if (set[i] == '1' && setenv(settings[i].name, settings[i].value, 1) != 0) return;
  }
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  if (n <= 0 || !strchr(set, '1') || setenv("PERILUNE_AGAIN", set, 1) != 0) return;
  path[n] = '\0';
  unbind();
  execv(path, argv);
  unsetenv("PERILUNE_AGAIN");
}

/* At the end, also of a script that calls os.exit: what was printed must have arrived. */
static void check_output(void) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return;
  fputs("perilune: cannot write to standard output\n", stderr);
  _exit(FAILED);
}

int main(int argc, char **argv) {
  set_up_environment(argv);
  atexit(check_output);
  program p = {.argc = argc, .argv = argv};
  int status;
  if (!read_options(&p)) return FAILED;
  if (p.help) return fputs(usage, stdout), 0;
  if (p.details) return print_version(true), 0;
  p.host = open_host(&p);
  if (p.host == NULL) {
    fprintf(stderr, "perilune: %s\n", pl_error());
    return FAILED;
  }
  status = run(&p);
  pl_host_close(p.host);
  return status;
}
