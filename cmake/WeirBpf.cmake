# weir_bpf(sockets): bpf/progs/sockets.bpf.c -> <build>/bpf/sockets.skel.h, included as "bpf/sockets.skel.h".
function(weir_bpf name)
	set(source "${CMAKE_SOURCE_DIR}/bpf/progs/${name}.bpf.c")
	set(folder "${CMAKE_BINARY_DIR}/bpf")
	file(MAKE_DIRECTORY "${folder}")
	add_custom_command(
		OUTPUT "${folder}/${name}.bpf.o"
		COMMAND ${BPF_CLANG} -target bpf -D__TARGET_ARCH_x86 -mcpu=v3 -g -O2 -Wall -Wextra -Werror
			-Wno-unused-parameter -I "${CMAKE_SOURCE_DIR}" -MMD -MF "${folder}/${name}.bpf.d"
			-c "${source}" -o "${folder}/${name}.bpf.o"
		DEPENDS "${source}" DEPFILE "${folder}/${name}.bpf.d" VERBATIM)
	add_custom_command(
		OUTPUT "${folder}/${name}.skel.h"
		COMMAND ${BPFTOOL} gen skeleton "${folder}/${name}.bpf.o" name ${name}_bpf > "${folder}/${name}.skel.h.tmp"
		COMMAND ${CMAKE_COMMAND} -E rename "${folder}/${name}.skel.h.tmp" "${folder}/${name}.skel.h"
		DEPENDS "${folder}/${name}.bpf.o" VERBATIM)
	add_custom_target(bpf_${name} DEPENDS "${folder}/${name}.skel.h")
endfunction()
