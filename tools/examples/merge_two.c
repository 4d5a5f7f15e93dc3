/* Make two copies of a database equal, with no network and no node:
 *
 *     merge-two A.db B.db
 *
 * Each file says what it holds, the other writes what that lacks into a
 * temporary file, and it is read from there: a stick between two machines
 * would do as well. */
#include <grapevine.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct side {
    const char *path;
    struct gv_store *store;
};

static void print_error(const char *path, const struct gv_error *error)
{
    fprintf(stderr, "%s: %s %s %s\n", path, error->what, error->meaning,
            error->remedy);
}

static int write_file(void *context, const void *bytes, size_t size)
{
    return fwrite(bytes, 1, size, context) == size ? GV_OK : GV_EIO;
}

static int read_file(void *context, void *bytes, size_t size, size_t *got)
{
    *got = fread(bytes, 1, size, context);
    return ferror((FILE *)context) ? GV_EIO : GV_OK;
}

/* Open the file for merging, and publish what programs wrote into it. */
static int open_side(struct side *side, struct gv_error *error)
{
    struct gv_db *db = NULL;
    uint64_t version;
    int rc = gv_open(side->path, 0, &db, error);

    if (rc == GV_OK)
        rc = gv_store_open(db, NULL, &side->store, error);
    gv_close(db);
    if (rc == GV_OK)
        rc = gv_store_seal(side->store, &version, error);
    if (rc != GV_OK)
        print_error(side->path, error);
    else if (version != 0)
        printf("%s: its own changes are published up to version %" PRIu64 "\n",
               side->path, version);
    return rc;
}

/* What @to lacks goes from @from into @file. */
static int write_delta(struct side *from, struct side *to, FILE *file,
                       struct gv_error *error)
{
    size_t size;
    void *vv;
    int rc = gv_store_vv(to->store, &vv, &size, error);

    if (rc != GV_OK)
        return rc;
    rc = gv_store_extract(from->store, vv, size, write_file, file, error);
    gv_free(vv);
    return rc;
}

static int carry(struct side *from, struct side *to, struct gv_error *error)
{
    FILE *file = tmpfile();
    struct side *at = from;
    int rc;

    if (file == NULL) {
        perror("a temporary file");
        return GV_EIO;
    }
    rc = write_delta(from, to, file, error);
    if (rc == GV_OK) {
        printf("%s -> %s: %ld bytes\n", from->path, to->path, ftell(file));
        rewind(file);
        at = to;
        rc = gv_store_apply(to->store, read_file, file, error);
    }
    if (rc != GV_OK)
        print_error(at->path, error);
    fclose(file);
    return rc;
}

static void print_fingerprint(const struct side *side)
{
    uint8_t fingerprint[GV_FINGERPRINT_SIZE];

    gv_store_fingerprint(side->store, fingerprint);
    printf("%s: fingerprint ", side->path);
    for (size_t i = 0; i < sizeof fingerprint; i++)
        printf("%02x", fingerprint[i]);
    printf("\n");
}

static int equal(const struct side *a, const struct side *b)
{
    uint8_t of_a[GV_FINGERPRINT_SIZE], of_b[GV_FINGERPRINT_SIZE];

    gv_store_fingerprint(a->store, of_a);
    gv_store_fingerprint(b->store, of_b);
    return memcmp(of_a, of_b, sizeof of_a) == 0;
}

int main(int argc, char **argv)
{
    struct side a = {0}, b = {0};
    struct gv_error error = {0};
    int rc;

    if (argc != 3) {
        fprintf(stderr, "usage: merge-two A.db B.db\n");
        return 2;
    }
    a.path = argv[1];
    b.path = argv[2];
    rc = open_side(&a, &error);
    if (rc == GV_OK)
        rc = open_side(&b, &error);
    if (rc == GV_OK)
        rc = carry(&a, &b, &error);
    if (rc == GV_OK)
        rc = carry(&b, &a, &error);
    if (rc == GV_OK) {
        print_fingerprint(&a);
        print_fingerprint(&b);
        puts(equal(&a, &b) ? "Both files hold the same."
                           : "Something was written meanwhile: run it again.");
    }
    gv_store_close(a.store);
    gv_store_close(b.store);
    return rc == GV_OK ? 0 : 1;
}
