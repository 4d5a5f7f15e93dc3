/* Reading a case's file: the head, then the steps, each line by itself. */
#include "case.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(const char *path, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", path, line, what);
    exit(1);
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    size_t size = 0;

    if (file == NULL)
        give_up(path, 0, "cannot be opened");
    for (;;) {
        char *grown = realloc(bytes, size + 4097);
        size_t count;

        if (grown == NULL)
            give_up(path, 0, "out of memory");
        bytes = grown;
        count = fread(bytes + size, 1, 4096, file);
        size += count;
        bytes[size] = '\0';
        if (count == 0)
            break;
    }
    fclose(file);
    return bytes;
}

static char *trim(char *text)
{
    size_t size;

    while (isspace((unsigned char)*text))
        text++;
    size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        text[--size] = '\0';
    return text;
}

/* What follows @name at the start of @text, or NULL. */
static const char *after(const char *text, const char *name)
{
    size_t size = strlen(name);

    if (strncmp(text, name, size) != 0)
        return NULL;
    text += size;
    while (*text == ' ')
        text++;
    return text;
}

static bool add(const char **list, size_t *count, const char *text)
{
    if (*count == CASE_LIST_MAX)
        return false;
    list[(*count)++] = text;
    return true;
}

/* One text of the head, such as "source: V CRS"; each may stand once. */
static bool take_text(struct case_file *file, const char *line)
{
    const struct {
        const char *name;
        const char **text;
    } texts[] = {
        {"source:", &file->source},
        {"policy:", &file->policy},
        {"waits:", &file->waits},
        {"refused:", &file->refused},
        {"sites:", &file->sites},
        {"schema:", &file->schema},
        {"schema A:", &file->site_schema[0]},
        {"schema B:", &file->site_schema[1]},
        {"schema C:", &file->site_schema[2]},
        {"schema D:", &file->site_schema[3]},
        {"file A:", &file->site_file[0]},
        {"file B:", &file->site_file[1]},
        {"file C:", &file->site_file[2]},
        {"file D:", &file->site_file[3]},
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = after(line, texts[i].name);

        if (text == NULL)
            continue;
        *texts[i].text = text;
        return true;
    }
    return false;
}

/* Whether the line belongs to the head. */
static bool take_head(struct case_file *file, const char *line)
{
    const char *text;

    if ((text = after(line, "id:")) != NULL)
        return strcmp(text, file->id) == 0;
    if (after(line, "text:") != NULL)
        return true;
    if ((text = after(line, "seal:")) != NULL) {
        file->seal_each = strcmp(text, "each") == 0;
        return file->seal_each;
    }
    if ((text = after(line, "slices:")) != NULL) {
        file->slices = strtoul(text, NULL, 10);
        return file->slices > 0;
    }
    if ((text = after(line, "track:")) != NULL)
        return add(file->tracks, &file->track_count, text);
    if ((text = after(line, "never:")) != NULL)
        return add(file->nevers, &file->never_count, text);
    if ((text = after(line, "monotone:")) != NULL)
        return add(file->monotones, &file->monotone_count, text);
    return take_text(file, line);
}

static bool take_variant(struct case_file *file, char *name)
{
    struct case_variant *variant = &file->variants[file->variant_count];
    char *waits = strstr(name, " waits: ");

    if (file->variant_count == CASE_LIST_MAX)
        return false;
    if (file->variant_count == 0)
        file->common_end = file->line_count;
    else
        variant[-1].end = file->line_count;
    if (waits != NULL) {
        *waits = '\0';
        variant->waits = waits + strlen(" waits: ");
    }
    variant->name = name;
    variant->first = file->line_count;
    file->variant_count++;
    return true;
}

static void finish(struct case_file *file)
{
    static char unnamed[] = "";

    if (file->variant_count == 0)
        take_variant(file, unnamed);
    file->variants[file->variant_count - 1].end = file->line_count;
    if (file->sites == NULL)
        file->sites = "AB";
    if (file->track_count == 0)
        add(file->tracks, &file->track_count, "t");
    if (file->schema == NULL)
        file->schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)";
}

static void take_id(struct case_file *file, const char *path)
{
    const char *name = strrchr(path, '/');
    size_t size;

    name = name == NULL ? path : name + 1;
    size = strcspn(name, ".");
    if (size >= sizeof file->id)
        give_up(path, 0, "its name is too long");
    memcpy(file->id, name, size);
}

struct case_file *case_read(const char *path)
{
    struct case_file *file = calloc(1, sizeof *file);
    bool head = true;
    int number = 0;
    char *next;

    if (file == NULL)
        give_up(path, 0, "out of memory");
    take_id(file, path);
    file->bytes = read_whole(path);
    for (char *at = file->bytes; at != NULL; at = next) {
        char *end = strchr(at, '\n'), *line;

        next = end == NULL ? NULL : end + 1;
        if (end != NULL)
            *end = '\0';
        line = trim(at);
        number++;
        if (line[0] == '\0' || line[0] == '#')
            continue;
        if (strcmp(line, "---") == 0) {
            head = false;
        } else if (head) {
            if (!take_head(file, line))
                give_up(path, number, "not a line of a head");
        } else if (after(line, "variant ") != NULL) {
            if (!take_variant(file, line + strlen("variant ")))
                give_up(path, number, "too many variants");
        } else if (file->line_count == CASE_LINES_MAX) {
            give_up(path, number, "too many lines");
        } else {
            file->lines[file->line_count++] = (struct case_line){number, line};
        }
    }
    if (file->source == NULL)
        give_up(path, number, "it names no source");
    finish(file);
    return file;
}

void case_free(struct case_file *file)
{
    if (file == NULL)
        return;
    free(file->bytes);
    free(file);
}
