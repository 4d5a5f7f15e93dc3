/* Effects and the memory they borrow, which lives until the next step.  A lack
 * of memory is kept in core->error and loses the effect, which is why those
 * that start store work say whether they stand. */
#ifndef CORE_EMIT_H
#define CORE_EMIT_H

#include "core/state.h"

void emit_begin(struct core *core);
void emit_close(struct core *core);
void *emit_memory(struct core *core, size_t size);
bool emit_vv(struct core *core, const struct vv *vv, struct vv_view *view);
bool emit(struct core *core, const struct effect *effect);
bool emit_message(struct core *core, gv_link link,
                  const struct message *message);
void emit_bye(struct core *core, gv_link link, enum bye_code code,
              const char *text);
void emit_close_link(struct core *core, gv_link link);
/* A copy of @text; NULL without memory. */
const char *emit_text(struct core *core, const char *text);
void emit_log(struct core *core, enum gv_log_level level, const char *format,
              ...) __attribute__((format(printf, 3, 4)));

#endif
