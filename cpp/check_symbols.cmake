# Fails if an object of the kernels defines a symbol outside the namespaces of the instruction sets. The linker would keep one for all
# of them, and that may be one that only some processors run. Names are taken as they are: not every nm demangles all of them.
execute_process(COMMAND ${NM} ${LIBRARY} OUTPUT_VARIABLE listed RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${NM} cannot read ${LIBRARY}")
endif()
string(REPLACE ";" "|" isas "${ISAS}")
string(REGEX MATCHALL " [A-TV-Zu] [^\n]+" defined "${listed}")  # all but local and undefined ones
if(NOT defined)
  message(FATAL_ERROR "${LIBRARY} defines nothing")
endif()
list(FILTER defined EXCLUDE REGEX "6secant[0-9]+(${isas})")
if(defined)
  file(REMOVE ${LIBRARY})
  string(REPLACE ";" "\n  " shared "${defined}")
  message(FATAL_ERROR "symbols outside the instruction-set namespaces, which the linker may take from any of them:\n  ${shared}")
endif()
