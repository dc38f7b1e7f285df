// The rANS coder behind entropy_coder.py, compiled.
//
// rans_reference.py makes the same bytes, reads the same symbols and gives
// the same messages; it also describes the payload. What is done here besides
// is for speed: flat tables with a bucket index, reciprocals instead of
// divisions, lanes in registers, no Python objects, no GIL.
//
// Nothing that comes from a payload is used as an index before it has been
// checked, and what comes from a caller is read once: he may change it
// meanwhile, so `Tables::check` copies the indexes that it has checked.
//
// J. Duda: "Asymmetric numeral systems", arXiv:1311.2540; interleaving and
// reciprocals after F. Giesen: "Interleaved entropy coders",
// arXiv:1402.3392.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#if defined(__GNUC__)
#define RANS_COLD __attribute__((noinline, cold))
#else
#define RANS_COLD
#endif

namespace py = pybind11;

namespace {

using Ints = py::array_t<int32_t, py::array::c_style>;

constexpr uint32_t kTotal = 1 << 16;  // sum of a table's frequencies
constexpr uint64_t kLow = uint64_t{1} << 31;  // states are in [2^31, 2^63)
constexpr size_t kMaxLanes = 4;
constexpr uint32_t kCountBits = 6;
constexpr uint32_t kMaxBits = 33;  // of an escaped symbol
constexpr int32_t kMaxOffset = 1 << 30;
constexpr uint32_t kBucketBits = 8;
constexpr size_t kBlock = 4096;  // symbols, a multiple of all lanes

// What is wrong with a payload; the seam makes a BitstreamError of it.
struct StreamError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename... Parts>
RANS_COLD std::string text(const Parts &...parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

uint32_t bit_length(uint64_t value) {
#if defined(__GNUC__)
  return value ? 64 - __builtin_clzll(value) : 0;
#else
  uint32_t length = 0;
  for (; value; value >>= 1) ++length;
  return length;
#endif
}

uint32_t load_word(const uint8_t *bytes) {
  return uint32_t{bytes[0]} | uint32_t{bytes[1]} << 8 |
         uint32_t{bytes[2]} << 16 | uint32_t{bytes[3]} << 24;
}

void store(uint64_t value, size_t count, uint8_t *bytes) {
  for (size_t i = 0; i < count; ++i) bytes[i] = uint8_t(value >> (8 * i));
}

// How to encode one entry: x' = x + bias + floor(x / frequency) * rest.
struct Step {
  uint64_t reciprocal;
  uint32_t bias;
  uint16_t rest;  // 2^16 - frequency
  uint16_t shift;
};

#if defined(__SIZEOF_INT128__)
uint64_t quotient(uint64_t x, const Step &step) {
  return uint64_t((unsigned __int128)(x)*step.reciprocal >> 64) >> step.shift;
}

// Exact for x < 2^63: with 2^(s-1) < f <= 2^s, the reciprocal is
// ceil(2^(63+s) / f), and its error times x stays below 2^(63+s).
Step make_step(uint32_t start, uint32_t frequency) {
  if (frequency == 1) {  // floor(x (2^64 - 1) / 2^64) = x - 1: mend by bias
    return {~uint64_t{0}, start + kTotal - 1, uint16_t(kTotal - 1), 0};
  }
  const uint32_t shift = bit_length(frequency - 1);
  const uint64_t half = uint64_t{1} << (31 + shift);
  const uint64_t low = ((half % frequency) << 32) + frequency - 1;
  return {(half / frequency << 32) + low / frequency, start,
          uint16_t(kTotal - frequency), uint16_t(shift - 1)};
}
#else
uint64_t quotient(uint64_t x, const Step &step) {
  return x / (kTotal - step.rest);
}

Step make_step(uint32_t start, uint32_t frequency) {
  return {0, start, uint16_t(kTotal - frequency), 0};
}
#endif

struct Row {
  size_t first;  // of its entries, in the flat arrays
  uint32_t escape;
  int32_t offset;
};

// Registered tables. Entry e of a row covers the slots
// [last(e - 1) + 1, last(e)] of 2^16, where last(-1) is 2^16 - 1, that is -1.
class Tables {
 public:
  Tables(const Ints &cdf, const Ints &lengths, const Ints &offsets) {
    if (cdf.ndim() != 2 || lengths.ndim() != 1 || offsets.ndim() != 1 ||
        lengths.shape(0) != cdf.shape(0) || offsets.shape(0) != cdf.shape(0) ||
        cdf.shape(0) < 1 || cdf.shape(0) > kTotal) {
      throw py::value_error(
          "Tables need `cdf` of shape (K, L) with `lengths` and `offsets` of "
          "shape (K,), and K in [1, 65536].");
    }
    const py::ssize_t width = cdf.shape(1);
    rows.reserve(cdf.shape(0));
    for (py::ssize_t k = 0; k < cdf.shape(0); ++k) {
      add(k, cdf.data() + k * width, width, lengths.data()[k],
          offsets.data()[k]);
    }
  }

  // Whether some indexes are good; then they are copied, see above.
  bool check(const int32_t *indexes, size_t count, uint16_t *checked) const {
    const uint32_t known = uint32_t(rows.size());
    uint32_t bad = 0;
    for (size_t i = 0; i < count; ++i) {
      const uint32_t index = uint32_t(indexes[i]);
      bad |= index >= known;
      checked[i] = uint16_t(index);
    }
    return !bad;
  }

  [[noreturn]] RANS_COLD void refuse(const int32_t *indexes,
                                     size_t count) const {
    const auto ends = std::minmax_element(indexes, indexes + count);
    throw py::value_error(text("Table indexes must lie in [0, ", rows.size(),
                               "), got ", *ends.first, " to ", *ends.second,
                               "."));
  }

  std::vector<Row> rows;
  std::vector<uint16_t> buckets;  // first entry of each 256 slots
  std::vector<uint16_t> last;
  std::vector<Step> steps;

 private:
  void add(py::ssize_t k, const int32_t *cdf, py::ssize_t width,
           int32_t length, int32_t offset) {
    bool good = 2 <= length && length <= width && cdf[0] == 0 &&
                cdf[length - 1] == int32_t(kTotal) &&
                -kMaxOffset <= offset && offset <= kMaxOffset;
    for (int32_t e = 1; good && e < length; ++e) good = cdf[e - 1] < cdf[e];
    if (!good) {
      throw py::value_error(
          text("Table ", k, " is not valid: 2 to ", width,
               " cumulative frequencies must rise from 0 to 65536, and the "
               "offset must lie within +-2^30. Got ", length,
               " of them and the offset ", offset, "."));
    }
    last.push_back(uint16_t(kTotal - 1));
    steps.push_back({});
    rows.push_back({last.size(), uint32_t(length - 2), offset});
    uint32_t slot = 0;
    for (int32_t e = 0; e + 1 < length; ++e) {
      last.push_back(uint16_t(cdf[e + 1] - 1));
      steps.push_back(make_step(cdf[e], cdf[e + 1] - cdf[e]));
      for (; slot < uint32_t(cdf[e + 1]); slot += 1 << kBucketBits) {
        buckets.push_back(uint16_t(e));
      }
    }
  }
};

// Words from the last to the first, as the encoder makes them.
class Words {
 public:
  explicit Words(size_t capacity) : buffer_(capacity), next_(capacity) {}

  // For a block of symbols; what follows an escape makes its own.
  void make_room() {
    if (next_ < kBlock) grow();
  }

  // Take the low word of a state. There has to be room.
  uint64_t push(uint64_t x) {
    buffer_[--next_] = uint32_t(x);
    return x >> 32;
  }

  size_t size() const { return buffer_.size() - next_; }

  void store_to(uint8_t *bytes) const {
    for (size_t i = next_; i < buffer_.size(); ++i, bytes += 4) {
      store(buffer_[i], 4, bytes);
    }
  }

 private:
  RANS_COLD void grow() {
    const size_t more = buffer_.size() + kBlock;
    std::vector<uint32_t> larger(buffer_.size() + more);
    std::copy(buffer_.begin() + next_, buffer_.end(),
              larger.begin() + next_ + more);
    buffer_.swap(larger);
    next_ += more;
  }

  std::vector<uint32_t> buffer_;
  size_t next_;
};

uint64_t push_bits(uint64_t x, uint64_t value, uint32_t count, Words &words) {
  words.make_room();
  if (x >= uint64_t{1} << (63 - count)) x = words.push(x);
  return x << count | value;
}

// What follows an escape: how many bits, then all but the highest, which is
// one; in groups of 16 from the lowest.
RANS_COLD uint64_t push_escaped(uint64_t x, int64_t beyond, Words &words) {
  const uint64_t size =
      beyond < 0 ? 2 * uint64_t(-beyond) - 1 : 2 * uint64_t(beyond);
  const uint32_t bits = bit_length(size), low = bits ? bits - 1 : 0;
  for (uint32_t at = (low + 15) / 16 * 16; at;) {
    at -= 16;
    const uint32_t count = std::min<uint32_t>(16, low - at);
    x = push_bits(x, size >> at & ((1u << count) - 1), count, words);
  }
  return push_bits(x, bits, kCountBits, words);
}

// More lanes are faster, but each costs up to 8 bytes: they have to stay
// below a thousandth of the payload, which is estimated from some symbols.
// Integers only, for the reference has to come to the same decision.
size_t choose_lanes(const Tables &tables, const int32_t *symbols,
                    const int32_t *indexes, size_t count) {
  const size_t stride = count / 1024 + 1;
  uint64_t cost = 0, samples = 0;
  for (size_t i = 0; i < count; i += stride, ++samples) {
    uint16_t index;
    if (!tables.check(indexes + i, 1, &index)) tables.refuse(indexes, count);
    const Row &row = tables.rows[index];
    const uint32_t place = uint32_t(symbols[i]) - uint32_t(row.offset);
    const Step &step = tables.steps[row.first + std::min(place, row.escape)];
    const uint32_t frequency = kTotal - step.rest;
    // -log2 in units of 2^-16, linear between powers of two.
    const uint32_t length = bit_length(frequency);
    cost += ((18 - length) << 16) - (frequency << (17 - length));
  }
  const uint64_t bytes = cost / samples * count >> 19;
  return bytes < 8000 ? 1 : bytes < 24000 ? 2 : 4;
}

template <size_t kLanes>
void encode_all(const Tables &tables, const int32_t *symbols,
                const int32_t *indexes, size_t count, uint64_t *states,
                Words &words) {
  const Row *all_rows = tables.rows.data();
  const Step *all_steps = tables.steps.data();
  uint64_t lanes[kLanes];
  std::fill(lanes, lanes + kLanes, kLow);
  uint16_t rows[kBlock];
  size_t begin = 0;
  const auto push = [&](uint64_t x, size_t i) {
    const Row &row = all_rows[rows[i - begin]];
    const int32_t symbol = symbols[i];
    // Offsets are small: nothing else wraps around into the table.
    uint32_t place = uint32_t(symbol) - uint32_t(row.offset);
    if (place >= row.escape) {
      int64_t beyond = int64_t{symbol} - row.offset;
      beyond -= beyond < 0 ? 0 : row.escape;
      x = push_escaped(x, beyond, words);
      place = row.escape;
    }
    const Step &step = all_steps[row.first + place];
    if (x >= uint64_t(kTotal - step.rest) << 47) x = words.push(x);
    return x + step.bias + quotient(x, step) * step.rest;
  };
  for (size_t i = count; i;) {
    begin = (i - 1) / kBlock * kBlock;
    if (!tables.check(indexes + begin, i - begin, rows)) {
      tables.refuse(indexes, count);
    }
    words.make_room();
    while (i % kLanes) {
      --i;
      lanes[i % kLanes] = push(lanes[i % kLanes], i);
    }
    while (i > begin) {
      i -= kLanes;
      for (size_t k = kLanes; k-- > 0;) lanes[k] = push(lanes[k], i + k);
    }
  }
  std::copy(lanes, lanes + kLanes, states);
}

py::bytes join(const uint64_t *states, size_t lanes, const Words &words) {
  const uint64_t largest = *std::max_element(states, states + lanes);
  const size_t width = (bit_length(largest) + 7) / 8;
  const size_t head = 1 + lanes * width;
  const auto made = py::reinterpret_steal<py::bytes>(
      PyBytes_FromStringAndSize(nullptr, head + 4 * words.size()));
  if (!made) throw py::error_already_set();
  auto *out = reinterpret_cast<uint8_t *>(PyBytes_AS_STRING(made.ptr()));
  out[0] = uint8_t((lanes >> 1) | (width - 4) << 2);
  for (size_t k = 0; k < lanes; ++k) {
    store(states[k], width, out + 1 + k * width);
  }
  words.store_to(out + head);
  return made;
}

py::bytes encode(const Tables &tables, const Ints &symbols,
                 const Ints &indexes) {
  if (symbols.ndim() != 1 || indexes.ndim() != 1 ||
      symbols.size() != indexes.size()) {
    throw py::value_error(text("There are ", symbols.size(), " symbols with ",
                               indexes.size(), " indexes; each needs one."));
  }
  const size_t count = symbols.size();
  if (count == 0) return py::bytes();
  const int32_t *from = symbols.data(), *which = indexes.data();
  uint64_t states[kMaxLanes];
  size_t lanes;
  Words words(count / 16 + kBlock);
  {
    py::gil_scoped_release release;
    lanes = choose_lanes(tables, from, which, count);
    const auto run = lanes == 1   ? encode_all<1>
                     : lanes == 2 ? encode_all<2>
                                  : encode_all<4>;
    run(tables, from, which, count, states, words);
  }
  return join(states, lanes, words);
}

// Reads a payload piece by piece. A call that fails changes nothing.
class Decoder {
 public:
  Decoder(py::bytes payload, std::shared_ptr<Tables> tables)
      : payload_(std::move(payload)), tables_(std::move(tables)) {
    begin_ = reinterpret_cast<const uint8_t *>(
        PyBytes_AS_STRING(payload_.ptr()));
    end_ = begin_ + PyBytes_GET_SIZE(payload_.ptr());
    next_ = begin_;
    if (begin_ != end_) read_head();
  }

  Ints decode(const Ints &indexes) {
    if (indexes.ndim() != 1) throw py::value_error("`indexes` must be 1-D.");
    const Turn turn(busy_);
    const size_t count = indexes.size();
    const int32_t *which = indexes.data();
    Ints symbols(count);
    int32_t *to = symbols.mutable_data();
    py::gil_scoped_release release;
    if (count && begin_ == end_) {
      throw StreamError(text(count, " symbols were expected, but the stream "
                                    "is empty."));
    }
    const auto run = lanes_ == 1   ? &Decoder::decode_all<1>
                     : lanes_ == 2 ? &Decoder::decode_all<2>
                                   : &Decoder::decode_all<4>;
    if (count) (this->*run)(which, count, to);
    return symbols;
  }

  // No more than this many bits of symbols can still come.
  uint64_t bits_left() {
    const Turn turn(busy_);
    uint64_t bits = 8 * uint64_t(end_ - next_);
    for (size_t k = 0; k < lanes_; ++k) bits += bit_length(states_[k]) - 31;
    return bits;
  }

  void finish() {
    const Turn turn(busy_);
    if (next_ != end_) {
      throw StreamError(text(end_ - next_, " bytes follow the last symbol at ",
                             next_ - begin_, "."));
    }
    for (size_t k = 0; k < lanes_; ++k) {
      if (states_[k] != kLow) {
        throw StreamError(text("After symbol ", done_, " at byte ",
                               next_ - begin_, " lane ", k,
                               " is not where coding began: the payload is "
                               "damaged, or of other tables or sizes."));
      }
    }
  }

 private:
  // Holds the decoder, or refuses to.
  class Turn {
   public:
    explicit Turn(std::atomic<bool> &busy) : busy_(busy) {
      if (busy_.exchange(true)) {
        throw std::runtime_error("A decoder serves one thread at a time.");
      }
    }
    ~Turn() { busy_.store(false); }
    Turn(const Turn &) = delete;
    Turn &operator=(const Turn &) = delete;

   private:
    std::atomic<bool> &busy_;
  };

  void read_head() {
    const uint32_t code = begin_[0], width = (code >> 2) + 4;
    if ((code & 3) > 2 || width > 8) {
      throw StreamError(text("Byte 0 of a payload must name 1, 2 or 4 lanes "
                             "of 4 to 8 bytes, got ", code, "."));
    }
    const size_t lanes = size_t{1} << (code & 3), head = 1 + lanes * width;
    const size_t size = end_ - begin_;
    if (size < head || (size - head) % 4) {
      throw StreamError(text("A payload that begins with ", code, " has ",
                             head, " bytes or a multiple of 4 more, got ",
                             size, "."));
    }
    uint64_t largest = 0;
    for (size_t k = 0; k < lanes; ++k) {
      const uint8_t *at = begin_ + 1 + k * width;
      uint64_t state = 0;
      for (size_t i = 0; i < width; ++i) state |= uint64_t{at[i]} << (8 * i);
      if (state < kLow || state >> 63) {
        throw StreamError(text("The state at byte ", at - begin_, " is ",
                               state, "; it must lie in [2^31, 2^63)."));
      }
      states_[k] = state;
      largest = std::max(largest, state);
    }
    if (largest >> (8 * width - 8) == 0) {
      throw StreamError(text("Byte 0 of a payload announces ", width,
                             " bytes a lane, but fewer are enough."));
    }
    lanes_ = lanes;
    next_ = begin_ + head;
  }

  template <size_t kLanes>
  void decode_all(const int32_t *indexes, size_t count, int32_t *symbols) {
    const Row *all_rows = tables_->rows.data();
    const uint16_t *all_last = tables_->last.data();
    const uint16_t *buckets = tables_->buckets.data();
    const uint8_t *next = next_;
    uint16_t rows[kBlock];
    size_t begin = 0;
    // The lane of the next symbol first.
    uint64_t lanes[kLanes];
    for (size_t k = 0; k < kLanes; ++k) {
      lanes[k] = states_[(done_ + k) % kLanes];
    }
    const auto pull = [&](uint64_t x, size_t i) {
      const uint16_t index = rows[i - begin];
      const Row &row = all_rows[index];
      const uint16_t *last = all_last + row.first;
      const uint32_t slot = x & (kTotal - 1);
      uint32_t entry = buckets[size_t{index} << kBucketBits |
                               slot >> (16 - kBucketBits)];
      while (last[entry] < slot) ++entry;  // ends: the row's last is 65535
      const uint32_t start = uint16_t((&last[entry])[-1] + 1);
      x = (last[entry] - start + 1) * (x >> 16) + (slot - start);
      if (x < kLow) {
        if (next == end_) out_of_words(i);
        x = x << 32 | load_word(next);
        next += 4;
      }
      symbols[i] = row.offset + int32_t(entry);
      if (entry == row.escape) {
        const Escaped escaped = pull_escaped(x, next, i);
        x = escaped.x;
        next = escaped.next;
        symbols[i] = place(escaped.size, row, i, next);
      }
      return x;
    };
    for (size_t i = 0; i < count;) {
      begin = i;
      const size_t end = std::min(count, i + kBlock);
      if (!tables_->check(indexes + i, end - i, rows)) {
        tables_->refuse(indexes, count);
      }
      for (; i + kLanes <= end; i += kLanes) {
        for (size_t k = 0; k < kLanes; ++k) lanes[k] = pull(lanes[k], i + k);
      }
      for (size_t k = 0; i < end; ++k, ++i) lanes[k] = pull(lanes[k], i);
    }
    for (size_t k = 0; k < kLanes; ++k) {
      states_[(done_ + k) % kLanes] = lanes[k];
    }
    next_ = next;
    done_ += count;
  }

  struct Escaped {
    uint64_t x;
    const uint8_t *next;
    uint64_t size;
  };

  uint64_t pull_bits(Escaped &at, uint32_t count, size_t i) const {
    const uint64_t value = at.x & ((uint64_t{1} << count) - 1);
    at.x >>= count;
    if (at.x < kLow) {
      if (at.next == end_) out_of_words(i);
      at.x = at.x << 32 | load_word(at.next);
      at.next += 4;
    }
    return value;
  }

  // Inverse of `push_escaped`.
  RANS_COLD Escaped pull_escaped(uint64_t x, const uint8_t *next,
                                 size_t i) const {
    Escaped at{x, next, 0};
    const uint32_t bits = uint32_t(pull_bits(at, kCountBits, i));
    if (bits > kMaxBits) {
      throw StreamError(text("The escaped symbol ", done_ + i,
                             " before byte ", at.next - begin_,
                             " claims ", bits, " bits, at most ", kMaxBits,
                             " are possible."));
    }
    if (bits == 0) return at;
    at.size = uint64_t{1} << (bits - 1);
    for (uint32_t low = 0; low < bits - 1; low += 16) {
      const uint32_t count = std::min<uint32_t>(16, bits - 1 - low);
      at.size |= pull_bits(at, count, i) << low;
    }
    return at;
  }

  RANS_COLD int32_t place(uint64_t size, const Row &row, size_t i,
                          const uint8_t *next) const {
    const int64_t half = int64_t(size >> 1);
    const int64_t symbol =
        row.offset + (size & 1 ? -half - 1 : row.escape + half);
    if (symbol < std::numeric_limits<int32_t>::min() ||
        symbol > std::numeric_limits<int32_t>::max()) {
      throw StreamError(text("The escaped symbol ", done_ + i,
                             " before byte ", next - begin_, " is ", symbol,
                             ", which 32 bits do not hold."));
    }
    return int32_t(symbol);
  }

  [[noreturn]] RANS_COLD void out_of_words(size_t i) const {
    throw StreamError(text("The payload ends at byte ", end_ - begin_,
                           ", but symbol ", done_ + i, " needs more."));
  }

  py::bytes payload_;
  std::shared_ptr<Tables> tables_;
  const uint8_t *begin_, *end_, *next_;
  uint64_t states_[kMaxLanes] = {};
  size_t lanes_ = 0;
  uint64_t done_ = 0;
  std::atomic<bool> busy_{false};
};

// Levels of some values at once, so that no search waits for another; without
// branches, because none could be predicted. There are 2 * half - 1 borders.
template <size_t kCount, typename Real>
void search(const Real *values, const Real *borders, uint32_t half,
            int32_t *levels) {
  uint32_t below[kCount] = {};
  for (uint32_t step = half; step; step /= 2) {
    for (size_t k = 0; k < kCount; ++k) {
      const bool above = borders[below[k] + step - 1] < values[k];
      below[k] += step & (0u - uint32_t{above});
    }
  }
  for (size_t k = 0; k < kCount; ++k) levels[k] = int32_t(below[k]);
}

// Levels by the highest 16 bits of a value, in which there is one border at
// most: then a look and a comparison are enough.
class Directory {
 public:
  // `borders` are sorted, and fewer than 2^16.
  Directory(const float *borders, size_t count)
      : borders_(borders, borders + count), first_(kBuckets) {
    auto next = first_.begin();
    for (size_t k = 0; k < count; ++k) {
      const auto end = first_.begin() + bucket_of(borders[k]) + 1;
      usable_ &= end > next;
      if (!usable_) return;
      std::fill(next, end, uint16_t(k));
      next = end;
    }
    std::fill(next, first_.end(), uint16_t(count));
    // No value lies above what comes after the last.
    borders_.push_back(std::numeric_limits<float>::infinity());
  }

  bool usable() const { return usable_; }

  int32_t level(float value) const {
    const uint32_t first = first_[bucket_of(value)];
    return int32_t(first + uint32_t{borders_[first] < value});
  }

 private:
  static constexpr size_t kBuckets = 1 << 16;

  // Rises with the value: negative numbers count backwards.
  static uint32_t bucket_of(float value) {
    value += 0.0f;  // of two zeros make one
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return (bits ^ (bits >> 31 ? ~uint32_t{0} : uint32_t{1} << 31)) >> 16;
  }

  std::vector<float> borders_;
  std::vector<uint16_t> first_;
  bool usable_ = true;
};

// Whether a directory is worth making and fits; if so, levels by it.
bool look_up(const float *values, size_t count, const float *borders,
             size_t known, int32_t *levels) {
  if (count < 1 << 14 || known >= 1 << 16) return false;
  const Directory directory(borders, known);
  if (!directory.usable()) return false;
  for (size_t i = 0; i < count; ++i) levels[i] = directory.level(values[i]);
  return true;
}

bool look_up(const double *, size_t, const double *, size_t, int32_t *) {
  return false;
}

// How many borders lie below each value.
template <typename Real>
Ints find_levels(const py::array_t<Real, py::array::c_style> &values,
                 const py::array_t<Real, py::array::c_style> &borders) {
  const size_t count = values.size();
  const Real *from = values.data(), *given = borders.data();
  uint32_t half = 1;
  while (2 * size_t{half} - 1 < size_t(borders.size())) half *= 2;
  // To a power of two less one; no value lies above these.
  std::vector<Real> padded(2 * size_t{half} - 1,
                           std::numeric_limits<Real>::infinity());
  std::copy(given, given + borders.size(), padded.begin());
  for (size_t k = 1; k < padded.size(); ++k) {
    if (!(padded[k - 1] <= padded[k])) {
      throw py::value_error("`borders` must be sorted, and not NaN.");
    }
  }
  Ints levels(count);
  int32_t *to = levels.mutable_data();
  bool nan = false;
  {
    py::gil_scoped_release release;
    size_t i = 0;
    if (!look_up(from, count, given, borders.size(), to)) {
      for (; i + 8 <= count; i += 8) {
        search<8>(from + i, padded.data(), half, to + i);
      }
      for (; i < count; ++i) search<1>(from + i, padded.data(), half, to + i);
    }
    for (i = 0; i < count; ++i) nan |= from[i] != from[i];
  }
  if (nan) throw py::value_error("`values` must not be NaN.");
  return levels;
}

}  // namespace

PYBIND11_MODULE(_rans, m) {
  m.doc() = "The rANS coder behind entropy_coder.py, compiled.";
  py::register_exception<StreamError>(m, "StreamError", PyExc_ValueError);
  py::class_<Tables, std::shared_ptr<Tables>>(m, "Tables",
                                              py::module_local())
      .def(py::init<const Ints &, const Ints &, const Ints &>(),
           py::arg("cdf").noconvert(), py::arg("lengths").noconvert(),
           py::arg("offsets").noconvert());
  m.def("encode", &encode, py::arg("tables"), py::arg("symbols").noconvert(),
        py::arg("indexes").noconvert());
  py::class_<Decoder>(m, "Decoder", py::module_local())
      .def(py::init<py::bytes, std::shared_ptr<Tables>>(), py::arg("payload"),
           py::arg("tables").none(false))
      .def("decode", &Decoder::decode, py::arg("indexes").noconvert())
      .def("bits_left", &Decoder::bits_left)
      .def("finish", &Decoder::finish);
  m.def("find_levels", &find_levels<float>, py::arg("values").noconvert(),
        py::arg("borders").noconvert());
  m.def("find_levels", &find_levels<double>, py::arg("values").noconvert(),
        py::arg("borders").noconvert());
}
