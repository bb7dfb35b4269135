/*
** guess.c: rock, paper, scissors against an opponent that learns while one plays. C has the game, a
** script the opponent: it is asked before each round and told afterwards. Nobody plays at random for
** long, which it finds out (Shannon, "A mind-reading(?) machine", 1953).
**
**   guess [OPPONENT.LUA]              play with the keys r, p, s; q ends
**   guess [OPPONENT.LUA] ROUNDS       a player with a habit plays so many rounds; prints who won
*/
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perilune_host.h"

enum { ROCK = 1, PAPER, SCISSORS, CHOICES = 3 };
static const char *const names[] = {"", "rock", "paper", "scissors"};
static const char keys[] = " rps";

typedef struct {
  pl_host *opponent;
  int rounds, won, lost; /* by the player */
  int last_mine, last_yours;
  bool failed;
} game;

static int beats(int choice) { return choice % CHOICES + 1; }

/* The choice that beats what the player will most likely do; 0 on failure. */
static int choose(game *g) {
  pl_tensor *p;
  int best = 1;
  if (!pl_host_call_tensors(g->opponent, "foretell", 0, NULL, 1, &p)) return 0;
  for (int i = 2; i <= CHOICES; i++)
    if (pl_at(p, i - 1) > pl_at(p, best - 1)) best = i;
  return beats(best);
}

static bool tell(game *g, int mine, int yours) {
  pl_tensor *in[] = {pl_full(PL_INT32, pl_list(1), mine), pl_full(PL_INT32, pl_list(1), yours)};
  return pl_host_call_tensors(g->opponent, "learn", 2, in, 0, NULL);
}

/* The opponent chooses before it is told what the player does. False at the end of the game. */
static bool play_round(game *g, int (*player)(game *g)) {
  pl_scope_begin();
  const int mine = choose(g), yours = mine ? player(g) : 0;
  g->failed = !mine || (yours && !tell(g, mine, yours));
  pl_scope_end();
  if (g->failed || !yours) return false;
  g->rounds++;
  g->won += yours == beats(mine);
  g->lost += mine == beats(yours);
  g->last_mine = mine, g->last_yours = yours;
  return true;
}

/* A habit that people have: after a win the same again, else what would have beaten the opponent. */
static int with_a_habit(game *g) {
  if (!g->rounds || rand() % 10 == 0) return rand() % CHOICES + 1;
  return g->last_yours == beats(g->last_mine) ? g->last_yours : beats(g->last_mine);
}

static int at_the_keyboard(game *g) {
  char line[80];
  if (g->rounds)
    printf("you %s, I %s: %d of %d are yours, %d mine\n", names[g->last_yours], names[g->last_mine],
           g->won, g->rounds, g->lost);
  for (;;) {
    printf("r, p, s or q? ");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin) || line[0] == 'q') return 0;
    const char *key = line[0] == ' ' ? NULL : strchr(keys, line[0]);
    if (key && *key) return (int)(key - keys);
  }
}

/* One line for each tenth of the game: a bar as long as the share that the opponent won. */
static void watch(game *g, int rounds) {
  for (int part = 0, before = 0; part < 10; part++, before = g->lost) {
    const int end = rounds * (part + 1) / 10, begin = g->rounds;
    while (g->rounds < end)
      if (!play_round(g, with_a_habit)) return;
    const double share = end > begin ? (double)(g->lost - before) / (end - begin) : 0;
    printf("rounds %4d to %4d  %3.0f %% ", begin + 1, end, 100 * share);
    for (int i = 0; i < (int)lround(40 * share); i++) putchar('#');
    putchar('\n');
  }
  printf("the opponent won %d of %d, the player %d\n", g->lost, g->rounds, g->won);
}

int main(int argc, char **argv) {
  const bool has_path = argc > 1 && !atoi(argv[1]);
  const char *path = has_path ? argv[1] : "opponent.lua";
  const int rounds = argc > 1 + has_path ? atoi(argv[1 + has_path]) : 0;
  game g = {.opponent = pl_host_open(NULL)};
  if (!g.opponent || !pl_host_run_file(g.opponent, path)) {
    fprintf(stderr, "guess: %s\n", g.opponent ? pl_host_error(g.opponent) : "not enough memory");
    pl_host_close(g.opponent);
    return 1;
  }
  if (rounds > 0) watch(&g, rounds);
  else
    while (play_round(&g, at_the_keyboard)) continue;
  if (g.failed) fprintf(stderr, "guess: %s\n", pl_host_error(g.opponent));
  pl_host_close(g.opponent);
  return g.failed;
}
