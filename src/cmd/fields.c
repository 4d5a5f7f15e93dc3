#include "fields.h"

const char *field_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

int64_t field_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}
