/* What a struct gv_db is. */
#ifndef API_DB_H
#define API_DB_H

#include "grapevine.h"

struct gv_db {
    char *path; /* resolved */
};

#endif
