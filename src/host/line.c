/*
** line.c: see line.h. Uses libedit's own interface, not its imitation of readline,
** because there Ctrl-C can be a key like any other while a line is edited.
*/
#include "line.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "history.h"

/*
** Without editing
*/

static void note_signal(int number) { (void)number; }

static pl_line_status read_plain(const char *prompt, char **line) {
  size_t room = 0;
  ssize_t n;
  bool interrupted;
  fputs(prompt, stdout);
  fflush(stdout);
  *line = NULL;
  errno = 0; /* the end of the input does not set it */
  n = getline(line, &room, stdin);
  interrupted = n < 0 && errno == EINTR;
  if (n < 0) {
    free(*line);
    *line = NULL;
    clearerr(stdin);
    fputc('\n', stdout);
    return interrupted ? PL_LINE_INTERRUPTED : PL_LINE_END;
  }
  if (n > 0 && (*line)[n - 1] == '\n') (*line)[n - 1] = '\0';
  return PL_LINE_OK;
}

#if defined(PL_HAVE_LIBEDIT)
/*
** With libedit
*/
#include <histedit.h>
#include <langinfo.h>
#include <sys/ioctl.h>

static struct {
  EditLine *el; /* NULL: not on a terminal */
  History *history;
  const char *prompt;
  pl_completer complete;
  void *user;
} editor;

static const char *get_prompt(EditLine *el) {
  (void)el;
  return editor.prompt;
}

static int terminal_width(void) {
  struct winsize size;
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static unsigned char complete_line(EditLine *el, int key) {
  const LineInfo *info = el_line(el);
  char *text = strndup(info->buffer, (size_t)(info->cursor - info->buffer));
  char *list = NULL, *insert = NULL;
  unsigned char action = CC_ERROR;
  (void)key;
  if (text != NULL) insert = editor.complete(editor.user, text, terminal_width(), &list);
  if (list != NULL) {
    printf("\n%s\n", list);
    fflush(stdout);
    action = CC_REDISPLAY;
  }
  if (insert != NULL && *insert != '\0' && el_insertstr(el, insert) == 0)
    action = list ? CC_REDISPLAY : CC_REFRESH;
  free(text);
  free(list);
  free(insert);
  return action;
}

static void add_to_memory(const char *entry) {
  HistEvent event;
  history(editor.history, &event, H_ENTER, entry);
}

static void bind_keys(EditLine *el) {
  static const char *const keys[][2] = {
      {"^I", "perilune-complete"},       {"^R", "em-inc-search-prev"}, {"\\e[1~", "ed-move-to-beg"},
      {"\\e[4~", "ed-move-to-end"},      {"\\e[H", "ed-move-to-beg"},  {"\\e[F", "ed-move-to-end"},
      {"\\e[3~", "ed-delete-next-char"}, {"\\e[1;5C", "em-next-word"}, {"\\e[1;5D", "ed-prev-word"},
      {"\\e[2~", "em-toggle-overwrite"}};
  el_set(el, EL_ADDFN, "perilune-complete", "complete the word", complete_line);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    el_set(el, EL_BIND, keys[i][0], keys[i][1], NULL);
}

/* libedit wants a locale that knows the terminal's characters. */
static void choose_locale(void) {
  setlocale(LC_CTYPE, "");
  if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
}

static bool can_edit(void) {
  const char *term = getenv("TERM");
  return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

void pl_line_open(const char *program, pl_completer complete, void *user) {
  HistEvent event;
  if (!can_edit()) return;
  choose_locale();
  editor.el = el_init(program, stdin, stdout, stderr);
  if (editor.el == NULL) return;
  editor.history = history_init();
  editor.complete = complete;
  editor.user = user;
  history(editor.history, &event, H_SETSIZE, 1000);
  history(editor.history, &event, H_SETUNIQUE, 1);
  el_set(editor.el, EL_EDITOR, "emacs");
  el_set(editor.el, EL_PROMPT, get_prompt);
  el_set(editor.el, EL_SIGNAL, 1);
  el_set(editor.el, EL_HIST, history, editor.history);
  bind_keys(editor.el);
  el_source(editor.el, NULL); /* ~/.editrc */
  pl_history_load(add_to_memory);
}

void pl_line_close(void) {
  if (editor.el == NULL) return;
  history_end(editor.history);
  el_end(editor.el);
  editor.el = NULL;
}

static pl_line_status read_edited(const char *prompt, char **line) {
  int n = 0;
  const char *text;
  editor.prompt = prompt;
  text = el_gets(editor.el, &n);
  if (text == NULL || n <= 0) {
    const bool interrupted = n < 0 && errno == EINTR;
    fputs(interrupted ? "^C\n" : "\n", stdout);
    return interrupted ? PL_LINE_INTERRUPTED : PL_LINE_END;
  }
  *line = strndup(text, (size_t)(text[n - 1] == '\n' ? n - 1 : n));
  return *line != NULL ? PL_LINE_OK : PL_LINE_END;
}

void pl_line_remember(const char *entry) {
  if (editor.el == NULL || entry[strspn(entry, " \t")] == '\0') return;
  add_to_memory(entry);
  pl_history_append(entry);
}

static pl_line_status read_any(const char *prompt, char **line) {
  return editor.el ? read_edited(prompt, line) : read_plain(prompt, line);
}

#else

void pl_line_open(const char *program, pl_completer complete, void *user) {
  (void)program, (void)complete, (void)user;
}

void pl_line_close(void) {}

void pl_line_remember(const char *entry) { (void)entry; }

static pl_line_status read_any(const char *prompt, char **line) { return read_plain(prompt, line); }

#endif

/* An interrupt signal that comes while reading ends a plain read and nothing else. */
pl_line_status pl_line_read(const char *prompt, char **line) {
  struct sigaction quiet = {.sa_handler = note_signal}, before;
  pl_line_status status;
  sigaction(SIGINT, &quiet, &before);
  status = read_any(prompt, line);
  sigaction(SIGINT, &before, NULL);
  return status;
}
