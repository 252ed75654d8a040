{maybe_undated}
