/* SPDX-License-Identifier: Apache-2.0 */
/* sweep: what nobody asks for and yet has to be done now and then */
#pragma once
#include "base/conf.h"
#include "base/db.h"

/*
 * Asks for jobs: empties the bin of what lies there for longer than
 * provision.expunge_after, deletes files of removed images that nothing stands on any
 * more.  Asking twice does no harm.
 */
must_check bool sweep(struct db *db, const struct conf *conf, struct err *e);
