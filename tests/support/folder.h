/* folder: where a test program keeps its files: a folder of its own, made when it is asked for first.
 *
 * It is removed with all that is in it when the program has ended, however it has ended: a shell that
 * outlives the program sees to that. */
#ifndef WEIR_TESTS_FOLDER_H
#define WEIR_TESTS_FOLDER_H

/* "/tmp/weir-test-XXXXXX", the same for the whole program. */
const char *folder_path(void);

/* "FOLDER/name"; up to eight live at once. */
const char *folder_at(const char *name);

/* A new and empty one inside, for one test; lives until the next is asked for. */
const char *folder_new(void);

/* Makes the certificates of make_certificates.sh in it; a cmocka group's setup. */
int folder_with_certificates(void **state);

#endif
