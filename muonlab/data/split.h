// Which documents are trained on and which are held out.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace muonlab::data {

enum class Split {
  kTrain,      ///< the optimizer sees it
  kSelection,  ///< held out: settings are chosen on it
  kReporting,  ///< held out: only final results are measured on it
};

inline constexpr std::array<Split, 3> kSplits = {
    Split::kTrain, Split::kSelection, Split::kReporting};

/// "train", "selection" or "reporting".
[[nodiscard]] std::string_view name_of(Split split);

using Digest = std::array<std::uint8_t, 32>;

/// Decides by the SHA-256 of (salt + text of the document): a document is held
/// out when the digest's first eight bytes, a big-endian number, lie below
/// held_out * 2^64; the top bit of the ninth byte then says which half. So a
/// document's split depends on nothing but its text: it stays where it is when
/// others come or go, and two copies of it never part.
class SplitRule {
 public:
  static constexpr std::string_view kSalt = "muonlab-split-v1";

  /// Throws Error(kInvalidArgument) unless 0 < held_out < 1.
  explicit SplitRule(double held_out);

  /// For sidecars: "sha256/muonlab-split-v1/held_out=0.1".
  [[nodiscard]] std::string text() const;
  [[nodiscard]] static Digest digest(std::string_view document);
  [[nodiscard]] Split of(const Digest& digest) const;
  [[nodiscard]] Split of(std::string_view document) const {
    return of(digest(document));
  }

 private:
  double held_out_;
  std::uint64_t threshold_;
};

}  // namespace muonlab::data
