/*
** policy.h: hosts whose scripts nobody has read.
*/
#ifndef PERILUNE_POLICY_H
#define PERILUNE_POLICY_H

#include <lua.h>

#include "perilune_host.h"

/* Gives the context that is entered the access and the clocks of the policy; NULL with a message. */
struct pl_access *pl_policy_begin(const pl_policy *policy);
/* After the context was closed. Accepts NULL. */
void pl_policy_end(struct pl_access *access);

/* Takes from the state what the policy does not allow, before any script has run; raises errors. */
void pl_policy_apply(lua_State *L, const pl_policy *policy);

#endif
