#include "visit.h"

#include "base/assert.h"
#include "machine.h"

int visit_begin(struct visit *visit, struct disk *disk, const char *name)
{
    visit->process = process_new(disk, name, true);
    GV_ASSERT(visit->process != NULL);
    return sqlite3_open_v2(MACHINE_PATH, &visit->db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                           process_vfs(visit->process));
}

void visit_end(struct visit *visit)
{
    sqlite3_db_config(visit->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(visit->db);
    process_free(visit->process);
    *visit = (struct visit){NULL, NULL};
}
