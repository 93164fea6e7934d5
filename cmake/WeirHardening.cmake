# Warnings are errors on gcc and clang; every binary is hardened.
add_compile_options(
	-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Wpointer-arith
	-Wwrite-strings -Wno-unused-parameter
	-Wno-missing-field-initializers -fno-strict-aliasing -fno-common)
add_compile_definitions(_GNU_SOURCE)

if(WEIR_SANITIZE)
	add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
	add_link_options(-fsanitize=address,undefined)
	if(WEIR_FUZZ)
		add_compile_options(-fsanitize=fuzzer-no-link)
	endif()
else()
	add_compile_options(-fstack-protector-strong -fstack-clash-protection -fcf-protection -U_FORTIFY_SOURCE
			    -D_FORTIFY_SOURCE=2 -ffunction-sections -fdata-sections)
	add_link_options(-pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--gc-sections)
endif()

# Option tables write a row's defaults and then what differs: .name twice is meant.
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
	add_compile_options(-Wno-initializer-overrides)
else()
	add_compile_options(-Wno-override-init)
endif()
