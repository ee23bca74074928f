/* printable.h - which runes Go prints as they are when it quotes a string (protocols.md 3.3, quoted form). */
#ifndef ML_WORKER_ENCODER_TEXT_PRINTABLE_H
#define ML_WORKER_ENCODER_TEXT_PRINTABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Letters, marks, numbers, punctuation, symbols and the ASCII space. */
bool ml_rune_printable(uint32_t rune);
#endif
