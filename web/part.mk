# The files of the pages are inside web/assets.o: it is made again when one of them changes.
$(BUILD)/obj/web/assets.o: $(wildcard web/pages/*) /usr/share/javascript/dygraphs/dygraph.min.js
