// A library that is loaded and closed again. The variants have different frames at the same addresses.
#include <exception>
#include <string>

// So that the calls in all variants return to the same address.
#define WEIR_TEST_ALIGN asm volatile(".balign 256, 0x90")

extern "C" __attribute__((visibility("default"))) __attribute__((aligned(4096))) int cross(void (*thrower)(), std::string& log);

namespace {

struct Note {
    std::string& log;
    ~Note() { log += WEIR_TEST_VARIANT; }
};

} // namespace

int cross(void (*thrower)(), std::string& log) {
#if WEIR_TEST_CATCHES
    try {
        Note note{log};
        WEIR_TEST_ALIGN;
        thrower();
    } catch (const std::exception&) {
        return 1;
    }
#else
    Note note{log};
    char room[200];
    asm volatile("" : : "r"(room) : "memory");
    WEIR_TEST_ALIGN;
    thrower();
    asm volatile("" : : "r"(room) : "memory");
#endif
    return 0;
}
