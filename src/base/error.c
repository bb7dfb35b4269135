/*
** error.c: the error slot and the interrupt flag. The first message wins and stays
** until it is cleared, so what is reported is the cause and not its consequences.
*/
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "base.h"

static PL_THREAD_LOCAL char message[512];
static PL_THREAD_LOCAL bool is_set;
static volatile sig_atomic_t interrupt_flag;

const char *pl_error(void) { return is_set ? message : NULL; }

void pl_error_clear(void) { is_set = false; }

bool pl_fail(const char *format, ...) {
  if (is_set) return false;
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  is_set = true;
  return false;
}

void pl_interrupt(void) { interrupt_flag = 1; }

bool pl_interrupted(void) { return interrupt_flag != 0; }

void pl_interrupt_clear(void) { interrupt_flag = 0; }

bool pl_check_interrupt(void) { return interrupt_flag ? pl_fail("interrupted") : true; }
