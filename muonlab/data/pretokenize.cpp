#include "muonlab/data/pretokenize.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstddef>
#include <string>

#include "muonlab/core/error.h"
#include "muonlab/data/utf8.h"

namespace muonlab::data {

namespace {

// PCRE2's own \s also takes U+180E, which Unicode 6.3 took out of White_Space;
// the class below is White_Space exactly.
constexpr std::string_view kGpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d"
    "| ?\\p{L}+"
    "| ?\\p{N}+"
    "| ?[^\\x09-\\x0d\\x{85}\\p{Z}\\p{L}\\p{N}]+"
    "|[\\x09-\\x0d\\x{85}\\p{Z}]+(?![^\\x09-\\x0d\\x{85}\\p{Z}])"
    "|[\\x09-\\x0d\\x{85}\\p{Z}]+";

// A number ends white space as the end of the text does: it is not among the
// characters before which one blank is left over.
constexpr std::string_view kSmollmPattern =
    "'s|'t|'re|'ve|'m|'ll|'d"
    "| ?\\p{L}+"
    "|\\p{N}"
    "| ?[^\\x09-\\x0d\\x{85}\\p{Z}\\p{L}\\p{N}]+"
    "|[\\x09-\\x0d\\x{85}\\p{Z}]+(?![^\\x09-\\x0d\\x{85}\\p{Z}\\p{N}])"
    "|[\\x09-\\x0d\\x{85}\\p{Z}]+";

[[noreturn]] void throw_pcre2(std::string_view what, int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  throw Error(ErrorKind::kInternal,
              concat("pretokenizer: ", what, ": ",
                     reinterpret_cast<const char*>(text.data())));
}

struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct Pretokenizer::Pattern {
  pcre2_code* code = nullptr;

  explicit Pattern(std::string_view text) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                         PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error,
                         &offset, nullptr);
    if (code == nullptr) throw_pcre2("cannot compile the pattern", error);
    // Where there is no JIT for the machine, the interpreter does the same.
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  }
  ~Pattern() { pcre2_code_free(code); }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;
};

Pretokenizer::Pretokenizer(PretokenizerKind kind)
    : kind_(kind),
      pattern_(std::make_unique<Pattern>(
          kind == PretokenizerKind::kGpt2 ? kGpt2Pattern : kSmollmPattern)) {}
Pretokenizer::~Pretokenizer() = default;
Pretokenizer::Pretokenizer(Pretokenizer&&) noexcept = default;
Pretokenizer& Pretokenizer::operator=(Pretokenizer&&) noexcept = default;

void Pretokenizer::split(std::string_view text, const Visitor& visit) const {
  while (!text.empty()) {
    const std::size_t valid = valid_utf8_prefix(text);
    split_valid(text.substr(0, valid), visit);
    text.remove_prefix(valid);
    std::size_t invalid = 0;
    while (invalid < text.size() && utf8_sequence(text.substr(invalid)) == 0) {
      ++invalid;
    }
    if (invalid > 0) visit(text.substr(0, invalid));
    text.remove_prefix(invalid);
  }
}

void Pretokenizer::split_valid(std::string_view text,
                               const Visitor& visit) const {
  if (text.empty()) return;
  const std::unique_ptr<pcre2_match_data, MatchDataDeleter> data(
      pcre2_match_data_create_from_pattern(pattern_->code, nullptr));
  if (data == nullptr) throw_pcre2("cannot match", PCRE2_ERROR_NOMEMORY);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  for (std::size_t at = 0; at < text.size();) {
    // The caller has validated the text: checking it again at every match
    // would take quadratic time.
    const int found = pcre2_match(pattern_->code, subject, text.size(), at,
                                  PCRE2_NO_UTF_CHECK, data.get(), nullptr);
    if (found < 0) throw_pcre2(concat("no match at byte ", at), found);
    const std::size_t end = pcre2_get_ovector_pointer(data.get())[1];
    visit(text.substr(at, end - at));
    at = end;
  }
}

}  // namespace muonlab::data
