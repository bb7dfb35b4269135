/*
** error.c: the error slot and the interrupt flag. The first message wins and stays
** until it is cleared, so what is reported is the cause and not its consequences.
*/
#include <stdarg.h>
#include <stdio.h>

#include "base.h"

const char *pl_error(void) {
  const pl_context *c = PL_HERE;
  return c->failed ? c->message : NULL;
}

pl_status pl_error_code(void) {
  const pl_context *c = PL_HERE;
  return c->failed ? c->status : PL_OK;
}

void pl_error_clear(void) { PL_HERE->failed = false; }

static bool fail(pl_status code, const char *format, va_list args) {
  pl_context *c = PL_HERE;
  if (c->failed) return false;
  vsnprintf(c->message, sizeof c->message, format, args);
  c->status = code ? code : PL_ERROR;
  c->failed = true;
  return false;
}

bool pl_fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fail(PL_ERROR, format, args);
  va_end(args);
  return false;
}

bool pl_fail_as(pl_status code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fail(code, format, args);
  va_end(args);
  return false;
}

void pl_context_interrupt(pl_context *c) {
  atomic_store_explicit(&c->interrupted, true, memory_order_relaxed);
}

/* In a signal handler no context can be made; where there is none, nothing runs. */
void pl_interrupt(void) {
  if (pl_here) pl_context_interrupt(pl_here);
}

bool pl_interrupted(void) { return pl_context_interrupted(PL_HERE); }

void pl_interrupt_clear(void) {
  atomic_store_explicit(&PL_HERE->interrupted, false, memory_order_relaxed);
}

bool pl_check_interrupt(void) {
  return !pl_interrupted() || pl_fail_as(PL_ERROR_INTERRUPTED, "interrupted");
}
