// From a corpus to a dataset folder: tokenizer, split, shards, sidecar.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "muonlab/data/dataset.h"

namespace muonlab::data {

enum class TokenizerKind { kBytes, kBpe };

struct PrepareOptions {
  std::filesystem::path corpus;  ///< what `read_documents` reads
  std::filesystem::path out;     ///< the dataset folder
  TokenizerKind tokenizer = TokenizerKind::kBpe;
  /// Tokens in all: 256 bytes, merged ones, the separator; 257 or more. Not
  /// used by the byte tokenizer, which has 257.
  std::int64_t vocabulary = 1024;
  /// Share of documents held out, in (0, 1); half of them select settings, half
  /// report results.
  double held_out = 0.1;
  /// Replace an existing dataset.
  bool force = false;
  /// Tokens in a shard; more start the next one. In [1, 2^31).
  std::int64_t tokens_per_shard = 100'000'000;
  /// Called with a line of text when a stage begins; may be empty.
  std::function<void(std::string_view)> progress = {};
};

struct PrepareReport {
  DatasetInfo info;
  /// Nothing was written: a whole dataset of the same corpus and settings was
  /// there.
  bool already_there = false;
  double training_seconds = 0;  ///< spent on the tokenizer
  double encoding_seconds = 0;
};

/// Makes a dataset. The BPE is trained on the training documents only. Each
/// document is preceded by a separator; within a split, documents stand in the
/// order of their split digests, which mixes sources and times.
///
/// Everything is written to a folder beside `out` that takes its name at the
/// end, so an interruption leaves no half dataset. Where `out` holds a whole
/// dataset of the same texts and settings already, this is a success that
/// writes nothing.
///
/// Throws Error(kInvalidArgument) for options out of range, for a split that
/// comes out empty, and when `out` holds something else (without `force`: any
/// other dataset; a folder that is no dataset is never replaced); and what
/// `read_documents`, `train_bpe` and writing files throw.
PrepareReport prepare(const PrepareOptions& options);

}  // namespace muonlab::data
