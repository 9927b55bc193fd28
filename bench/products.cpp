// The two products of dense inputs with the tiles of the core, again and again: roofline.py times them. With -DSECANT_SINGLE in
// float32. As in the core, samples are taken in blocks, inputs in blocks of columns, which are copied if there are many panels, and
// hidden units in panels, each an array: x(N,I), w(panels,I,width), z(panels,N,width).
#define SECANT_ISA measured
#include "secant/network/parameters.hpp"
#include "secant/network/rows.hpp"

#include <vector>

using namespace secant;
using namespace secant::SECANT_ISA;

namespace {

struct Layer {
    std::size_t samples, inputs;
    Panels panels;
    const Real* x;
    Real *w, *z;

    // body(block) for each block of samples and columns of each panel, so many times; `few` panels of a block of columns follow one
    // another.
    template <class Body>
    void walk(std::size_t times, std::size_t few, const Body& body) const {
        const std::size_t samples_at_once = enough_samples(panels.hidden);
        std::vector<Real> copies(panels.many(1) ? blocks_of(inputs) * block_columns * samples_at_once : 0);
        for (std::size_t i = 0; i < times; ++i) walk(samples_at_once, few, body, copies);
    }

    template <class Body>
    void walk(std::size_t samples_at_once, std::size_t few, const Body& body, std::vector<Real>& copies) const {
        for (std::size_t n = 0; n < samples; n += samples_at_once) {
            const std::size_t count = std::min(samples_at_once, samples - n);
            for (std::size_t i = 0; i < inputs && !copies.empty(); i += block_columns)
                for (std::size_t r = 0; r < count; ++r)
                    std::copy_n(x + (n + r) * inputs + i, std::min(block_columns, inputs - i),
                                copies.data() + i * samples_at_once + r * block_columns);
            for (std::size_t first = 0; first < panels.count; first += few)
                for (std::size_t i = 0; i < inputs; i += block_columns)
                    for (std::size_t panel = first; panel < std::min(first + few, panels.count); ++panel) {
                        const std::size_t width = panels.width();
                        const Tile<Real> w_i{w + (panel * inputs + i) * width, width}, z_n{z + (panel * samples + n) * width, width};
                        const Tile<const Real> x_n = copies.empty()
                                                         ? Tile<const Real>{x + n * inputs + i, inputs}
                                                         : Tile<const Real>{copies.data() + i * samples_at_once, block_columns};
                        body(Block{x_n, count, std::min(block_columns, inputs - i), w_i, z_n, panels.units_in(panel), n == 0});
                    }
        }
    }

    struct Block {
        Tile<const Real> x;
        std::size_t samples, columns;
        Tile<Real> w, z;
        std::size_t width;
        bool first;
    };
};

}  // namespace

extern "C" {

std::size_t panels_for(std::size_t hidden) { return Panels(hidden, 1, false).count; }
std::size_t units_for(std::size_t hidden) { return Panels(hidden, 1, false).size; }
std::size_t width_for(std::size_t hidden) { return Panels(hidden, 1, false).width(); }

// z += x w
void forward(std::size_t times, std::size_t samples, std::size_t inputs, std::size_t hidden, const Real* x, Real* w, Real* z) {
    const Panels panels(hidden, 1, false);
    Layer{samples, inputs, panels, x, w, z}.walk(times, panels.few(), [](const Layer::Block& b) {
        add_rows<Pack, HalfPack>([&](std::size_t n) { return b.x.row(n); }, 0, b.samples, b.columns, b.w,
                                 [&](std::size_t n) { return b.z.row(n); }, b.width);
    });
}

// w = x^T z
void contract(std::size_t times, std::size_t samples, std::size_t inputs, std::size_t hidden, const Real* x, Real* w, Real* z) {
    const Panels panels(hidden, 1, false);
    Layer{samples, inputs, panels, x, w, z}.walk(times, panels.count, [](const Layer::Block& b) {
        const std::size_t most = even_part(b.samples, rows_at_once);
        for (std::size_t n = 0; n < b.samples; n += most) {
            const Real* rows[rows_at_once];
            const std::size_t count = std::min(most, b.samples - n);
            for (std::size_t r = 0; r < count; ++r) rows[r] = b.x.row(n + r);
            add_products<Pack, HalfPack, 1, Real>(rows, count, b.z.from(n, 0), b.columns, {b.w, b.width, b.first && n == 0});
        }
    });
}

}
