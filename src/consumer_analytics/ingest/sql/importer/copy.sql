copy {stage} (line, {columns}) from stdin (format text, null '', encoding 'UTF8')
