/* Reading what the library says in JSON: a field that is not there, or of
 * another type, is empty. */
#ifndef CMD_FIELDS_H
#define CMD_FIELDS_H

#include <jansson.h>
#include <stdint.h>

const char *field_text(const json_t *object, const char *key);
int64_t field_number(const json_t *object, const char *key);

#endif
