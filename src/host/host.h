/*
** host.h: what the files of the host share.
*/
#ifndef PERILUNE_HOST_PRIVATE_H
#define PERILUNE_HOST_PRIVATE_H

#include "perilune_host.h"

/* Makes this the host's error; always false. */
bool pl_host_refuse(pl_host *h, pl_status code, const char *message);

#endif
